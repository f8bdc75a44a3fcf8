package catalog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/core/retention"
)

func ids(infos []*BackupInfo) []string {
	var list []string
	for _, b := range infos {
		list = append(list, b.ID)
	}
	return list
}

func TestSaveThenLoad(t *testing.T) {
	c := newCatalog(t)
	want := parsedFullInfo()
	if err := c.Save(want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ourFullInfo, content(t, filepath.Join(c.Layout.Backup, "meta", "20260110T100000-backup.info"))); diff != "" {
		t.Error(diff)
	}
	got := must[*BackupInfo](t)(c.Load("20260110T100000"))
	if diff := cmp.Diff(want, got, ignoreSource); diff != "" {
		t.Error(diff)
	}
	names := must[[]string](t)(listNames(c.Layout.Meta()))
	if len(names) != 1 {
		t.Errorf("saving left files behind: %v", names)
	}
}

func TestLegacyInfoIsReadAndReplacedInMeta(t *testing.T) {
	c := newCatalog(t)
	const id = "20260110T100000"
	legacy := c.Layout.LegacyInfoPath(id)
	put(t, legacy, "status=WAITING_FOR_WALS\nserver_name=main\n")
	b := must[*BackupInfo](t)(c.Update(id, func(b *BackupInfo) error { return b.SetStatus(StatusDone) }))
	if b.Status != StatusDone {
		t.Error(b.Status)
	}
	if got := content(t, c.Layout.InfoPath(id)); got != "status=DONE\nserver_name=main\n" {
		t.Errorf("in meta: %q", got)
	}
	if got := content(t, legacy); got != "status=WAITING_FOR_WALS\nserver_name=main\n" {
		t.Errorf("the legacy file changed: %q", got)
	}
	list := must[*Backups](t)(c.List())
	if len(list.All) != 1 || list.Get(id).Status != StatusDone {
		t.Errorf("the file in meta must win: %v", list.All)
	}
	if err := c.DeleteInfo(id); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Load(id); !errors.Is(err, ErrNoBackup) {
		t.Errorf("after the delete: %v", err)
	}
	if err := c.DeleteInfo(id); err != nil {
		t.Errorf("a second delete: %v", err)
	}
}

func TestUpdateWritesNothingWhenNothingChanges(t *testing.T) {
	c := newCatalog(t)
	const id = "20260110T100000"
	put(t, c.Layout.LegacyInfoPath(id), "status=DONE\n")
	must[*BackupInfo](t)(c.Update(id, func(b *BackupInfo) error { return b.SetStatus(StatusDone) }))
	if found, _ := exists(c.Layout.InfoPath(id)); found {
		t.Error("an unchanged legacy file was copied to meta")
	}
	boom := errors.New("boom")
	if _, err := c.Update(id, func(b *BackupInfo) error { b.Status = StatusFailed; return boom }); !errors.Is(err, boom) {
		t.Error(err)
	}
	if found, _ := exists(c.Layout.InfoPath(id)); found {
		t.Error("a change that failed was saved")
	}
}

func TestNamesFromOutsideCannotLeaveTheCatalog(t *testing.T) {
	c := newCatalog(t)
	for _, id := range []string{"../x", "", "20260110T100000/../..", "latest", "20260110T10000"} {
		if _, err := c.Load(id); !errors.Is(err, ErrNoBackup) {
			t.Errorf("Load(%q): %v", id, err)
		}
		if err := c.Save(&BackupInfo{ID: id, Status: StatusDone}); err == nil {
			t.Errorf("Save(%q) worked", id)
		}
		if c.DeleteInfo(id) == nil || c.SetKeep(id, KeepFull) == nil || c.MarkDelete(id) == nil || c.SetKeep(id, KeepNone) == nil {
			t.Errorf("%q was accepted", id)
		}
		if _, err := c.KeepOf(id); err == nil {
			t.Errorf("KeepOf(%q) worked", id)
		}
	}
}

func TestOneDamagedFileDoesNotHideTheOthers(t *testing.T) {
	c := newCatalog(t)
	for _, id := range []string{"20260111T100000", "20260110T100000"} {
		if err := c.Save(usable(id, 2, 3)); err != nil {
			t.Fatal(err)
		}
	}
	put(t, c.Layout.InfoPath("20260112T100000"), "")
	put(t, c.Layout.InfoPath("20260113T100000"), "status=DONE\nsize=x\n")
	put(t, c.Layout.LegacyInfoPath("20260109T100000"), "status=DONE\n")
	put(t, c.Layout.LegacyInfoPath("20260110T100000"), "status=FAILED\n")
	put(t, filepath.Join(c.Layout.Meta(), "20260110T100000-keep"), "full")
	put(t, filepath.Join(c.Layout.Meta(), "20260110T100000-backup.info.tmp"), "half")
	list := must[*Backups](t)(c.List())
	if diff := cmp.Diff([]string{"20260109T100000", "20260110T100000", "20260111T100000"}, ids(list.All)); diff != "" {
		t.Error(diff)
	}
	if list.Get("20260110T100000").Status != StatusDone {
		t.Error("the legacy file won over the one in meta")
	}
	if len(list.Unreadable) != 2 || list.Unreadable[0].ID != "20260112T100000" || list.Unreadable[1].ID != "20260113T100000" {
		t.Fatalf("unreadable: %v", list.Unreadable)
	}
	err := list.Unreadable[1].Err
	var info *InfoError
	if !errors.As(err, &info) || info.Line != 2 || info.Key != "size" ||
		!strings.Contains(err.Error(), c.Layout.InfoPath("20260113T100000")) {
		t.Errorf("the error does not say where: %v", err)
	}
	_, err = list.Resolve("20260113T100000")
	var unknown *UnknownBackupError
	if !errors.As(err, &unknown) || unknown.Unreadable == nil {
		t.Errorf("Resolve of an unreadable backup: %v", err)
	}
}

func TestEmptyCatalogs(t *testing.T) {
	list := must[*Backups](t)(New(DefaultLayout(t.TempDir(), "nobody")).List())
	if len(list.All) != 0 || len(list.Unreadable) != 0 || list.Last(Usable...) != nil || list.First(NotEmpty...) != nil {
		t.Errorf("%+v", list)
	}
}

func TestPreviousAndNext(t *testing.T) {
	list := NewBackups("main",
		usable("20260104T000000", 8, 9),
		withStatus(usable("20260103T000000", 6, 7), StatusFailed),
		withStatus(usable("20260102T000000", 4, 5), StatusWaitingForWALs),
		usable("20260101T000000", 2, 3))
	id := func(b *BackupInfo) string {
		if b == nil {
			return "-"
		}
		return b.ID
	}
	for _, c := range []struct{ got, want string }{
		{id(list.Previous("20260104T000000", Usable...)), "20260102T000000"},
		{id(list.Previous("20260104T000000", NotEmpty...)), "20260103T000000"},
		{id(list.Previous("20260101T000000", Usable...)), "-"},
		{id(list.Next("20260102T000000", Usable...)), "20260104T000000"},
		{id(list.Next("20260104T000000", Usable...)), "-"},
		{id(list.Next("20260103T120000", Usable...)), "20260104T000000"},
		{id(list.First(Usable...)), "20260101T000000"},
		{id(list.Last(StatusWaitingForWALs)), "20260102T000000"},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
}

func TestResolve(t *testing.T) {
	incremental := usable("20260105T000000", 10, 11)
	incremental.Mode, incremental.ParentID = ModePostgres, "20260104T000000"
	named := usable("20260102T000000", 4, 5)
	named.BackupName = "weekly"
	other := usable("20260104T000000", 8, 9)
	other.BackupName = "twice"
	another := usable("20260101T000000", 2, 3)
	another.BackupName = "twice"
	failedNamed := withStatus(usable("20260106T000000", 6, 7), StatusFailed)
	failedNamed.BackupName = "broken"
	list := NewBackups("main", incremental, named, other, another, failedNamed,
		withStatus(usable("20260103T000000", 6, 7), StatusFailed),
		withStatus(usable("20260107T000000", 0, 0), StatusEmpty))
	for text, want := range map[string]string{
		"latest": "20260105T000000", "last": "20260105T000000",
		"oldest": "20260101T000000", "first": "20260101T000000",
		"last-failed": "20260106T000000",
		"latest-full": "20260104T000000", "last-full": "20260104T000000",
		"20260103T000000": "20260103T000000", "20260107T000000": "20260107T000000",
		"weekly": "20260102T000000",
	} {
		b, err := list.Resolve(text)
		if err != nil || b.ID != want {
			t.Errorf("Resolve(%s) = %v, %v; want %s", text, b, err, want)
		}
	}
	for _, text := range []string{"", "failed", "last-f", "-", "auto", "broken", "20260101", "20261231T000000", "WEEKLY", "first-full"} {
		_, err := list.Resolve(text)
		if !errors.Is(err, ErrNoBackup) || err.Error() != fmt.Sprintf("Unknown backup '%s' for server 'main'", text) {
			t.Errorf("Resolve(%q): %v", text, err)
		}
	}
	_, err := list.Resolve("twice")
	var ambiguous *AmbiguousNameError
	const want = "Multiple backups found matching name 'twice' (try using backup ID instead): 20260101T000000 20260104T000000"
	if !errors.As(err, &ambiguous) || err.Error() != want {
		t.Error(err)
	}
	if _, err := NewBackups("main").Resolve("latest"); !errors.Is(err, ErrNoBackup) {
		t.Error(err)
	}
}

func TestValidateName(t *testing.T) {
	for _, name := range []string{"weekly", "before upgrade", "latest2", "x=y"} {
		if err := ValidateName(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{
		"", "latest", "last", "oldest", "first", "last-failed", "latest-full", "last-full", "auto",
		"20260101T000000", "None", " x", "a\nb",
	} {
		if ValidateName(name) == nil {
			t.Errorf("%q was accepted", name)
		}
	}
}

func TestNewID(t *testing.T) {
	at := func(s string) time.Time { return must[time.Time](t)(time.Parse("2006-01-02 15:04:05", s)) }
	c := newCatalog(t)
	next := func(now string) string { return must[string](t)(c.NewID(at(now))) }
	if got := next("2026-10-25 02:30:00"); got != "20261025T023000" {
		t.Error(got)
	}
	if err := c.Save(usable("20261025T025959", 2, 3)); err != nil {
		t.Fatal(err)
	}
	for now, want := range map[string]string{
		"2026-10-25 02:59:59": "20261025T030000", // two backups in one second
		"2026-10-25 02:00:10": "20261025T030000", // the clock was set back by an hour
		"2026-10-25 03:00:00": "20261025T030000",
		"2026-10-25 01:00:00": "20261025T010000", // the newest one was taken with a wrong clock
	} {
		if got := next(now); got != want {
			t.Errorf("at %s: %s, want %s", now, got, want)
		}
	}
	if err := os.MkdirAll(c.Layout.BackupPath("20261025T030000"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got := next("2026-10-25 02:59:59"); got != "20261025T030001" {
		t.Errorf("a directory in base/ takes an id too: %s", got)
	}
	put(t, c.Layout.InfoPath("20269999T999999"), "status=DONE\n")
	if got := next("2026-10-25 03:00:00"); got != "20261025T030001" {
		t.Errorf("beside an impossible id: %s", got)
	}
}

func TestAnnotations(t *testing.T) {
	c := newCatalog(t)
	const id = "20260110T100000"
	keep := func() Keep { return must[Keep](t)(c.KeepOf(id)) }
	if keep() != KeepNone {
		t.Error("a backup without annotation is kept")
	}
	if err := c.SetKeep(id, KeepStandalone); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(c.Layout.Backup, "meta", id+"-keep")
	if got := content(t, path); got != "standalone" || keep() != KeepStandalone {
		t.Errorf("%q, %s", got, keep())
	}
	for text, want := range map[string]Keep{"full": KeepFull, "standalone\n": KeepStandalone, "what": KeepFull, "": KeepFull} {
		put(t, path, text)
		if got := keep(); got != want {
			t.Errorf("content %q: %q, want %q", text, got, want)
		}
	}
	if err := c.SetKeep(id, KeepNone); err != nil || keep() != KeepNone {
		t.Errorf("release: %v, %s", err, keep())
	}
	if err := c.SetKeep(id, "forever"); err == nil {
		t.Error("an unknown target was accepted")
	}
	if marked := must[bool](t)(c.MarkedForDelete(id)); marked {
		t.Error("marked")
	}
	if err := c.MarkDelete(id); err != nil {
		t.Fatal(err)
	}
	if got := content(t, filepath.Join(c.Layout.Meta(), id+"-delete_this")); got != "delete" {
		t.Errorf("%q", got)
	}
	if marked := must[bool](t)(c.MarkedForDelete(id)); !marked {
		t.Error("not marked")
	}
	if err := c.UnmarkDelete(id); err != nil || must[bool](t)(c.MarkedForDelete(id)) {
		t.Errorf("unmark: %v", err)
	}
}

func TestLegacyAnnotations(t *testing.T) {
	c := newCatalog(t)
	const old, both = "20260110T100000", "20260111T100000"
	put(t, c.Layout.LegacyAnnotationPath(old, "keep"), "standalone")
	put(t, c.Layout.LegacyAnnotationPath(both, "keep"), "standalone")
	if err := c.SetKeep(both, KeepFull); err != nil {
		t.Fatal(err)
	}
	if found, _ := exists(filepath.Join(c.Layout.BackupPath(both), "annotations")); found {
		t.Error("the old annotation stays, and Barman would move it over the new one")
	}
	keeps := must[map[string]Keep](t)(c.Keeps())
	if diff := cmp.Diff(map[string]Keep{old: KeepStandalone, both: KeepFull}, keeps); diff != "" {
		t.Error(diff)
	}
	if err := c.SetKeep(old, KeepNone); err != nil || must[Keep](t)(c.KeepOf(old)) != KeepNone {
		t.Error("a legacy annotation could not be released")
	}
}

func TestIdentityIsWrittenOnce(t *testing.T) {
	c := newCatalog(t)
	if _, found, err := c.Identity(); found || err != nil {
		t.Fatal(found, err)
	}
	want := Identity{SystemID: "7372018234567890123", Version: "17"}
	if !must[bool](t)(c.WriteIdentity(want)) {
		t.Error("not written")
	}
	if got := content(t, c.Layout.IdentityPath()); got != "{\n    \"systemid\": \"7372018234567890123\",\n    \"version\": \"17\"\n}\n" {
		t.Errorf("%q", got)
	}
	if must[bool](t)(c.WriteIdentity(Identity{SystemID: "1", Version: "18"})) {
		t.Error("written twice")
	}
	got, found, err := c.Identity()
	if !found || err != nil || got != want {
		t.Error(got, found, err)
	}
	put(t, c.Layout.IdentityPath(), "{")
	if _, _, err := c.Identity(); err == nil || !strings.Contains(err.Error(), "identity.json") {
		t.Error(err)
	}
}

func TestOrphans(t *testing.T) {
	c := newCatalog(t)
	orphan := func(b *BackupInfo) bool { return must[bool](t)(c.IsOrphan(b)) }
	b := usable("20260110T100000", 2, 3)
	if orphan(b) {
		t.Error("a backup without a file is no orphan")
	}
	if err := c.Save(b); err != nil {
		t.Fatal(err)
	}
	if !orphan(b) {
		t.Error("without base/ID")
	}
	put(t, c.Layout.LegacyInfoPath(b.ID), "status=DONE\n")
	if !orphan(b) {
		t.Error("with nothing but backup.info in base/ID")
	}
	put(t, filepath.Join(c.Layout.DataPath(b.ID), "PG_VERSION"), "15\n")
	if orphan(b) {
		t.Error("with content")
	}
	if orphan(withStatus(usable("20260111T100000", 2, 3), StatusEmpty)) {
		t.Error("a backup that has not begun")
	}
}

func TestIncrementalTrees(t *testing.T) {
	child := func(id, parent string) *BackupInfo {
		b := usable(id, 2, 3)
		b.Mode, b.ParentID = ModePostgres, parent
		return b
	}
	const root, a, b, aa, lost = "20260101T000000", "20260102T000000", "20260103T000000", "20260104T000000", "20260105T000000"
	list := NewBackups("main", usable(root, 2, 3), child(a, root), child(b, root), child(aa, a), child(lost, "20251231T000000"),
		child("20260106T000000", "20260107T000000"), child("20260107T000000", "20260106T000000"))
	if diff := cmp.Diff([]string{aa, a, b}, ids(list.Descendants(root))); diff != "" {
		t.Error(diff)
	}
	chain, complete := list.Chain(list.Get(aa))
	if diff := cmp.Diff([]string{root, a, aa}, ids(chain)); diff != "" || !complete {
		t.Error(complete, diff)
	}
	if list.Root(list.Get(aa)).ID != root || list.Root(list.Get(root)).ID != root || list.Root(list.Get(lost)) != nil {
		t.Error("roots")
	}
	if list.Root(list.Get("20260106T000000")) != nil || len(list.Descendants("20260106T000000")) != 1 {
		t.Error("a cycle must end")
	}
}

func TestParentsListTheirChildren(t *testing.T) {
	c := newCatalog(t)
	const root = "20260101T000000"
	if err := c.Save(usable(root, 2, 3)); err != nil {
		t.Fatal(err)
	}
	children := func() []string { return must[*BackupInfo](t)(c.Load(root)).ChildrenIDs }
	for _, id := range []string{"20260102T000000", "20260103T000000", "20260102T000000"} {
		if err := c.AddChild(root, id); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"20260102T000000", "20260103T000000"}, children()); diff != "" {
		t.Error(diff)
	}
	for _, id := range []string{"20260102T000000", "20260103T000000"} {
		if err := c.RemoveChild(root, id); err != nil {
			t.Fatal(err)
		}
	}
	if children() != nil || !strings.Contains(content(t, c.Layout.InfoPath(root)), "\nchildren_backup_ids=None\n") {
		t.Error("a parent without children must say None")
	}
	if err := c.RemoveChild("20250101T000000", "x"); !errors.Is(err, ErrNoBackup) {
		t.Error(err)
	}
}

func TestLayoutOfTheOldestBackups(t *testing.T) {
	c := newCatalog(t)
	const id = "20120101T000000"
	base := c.Layout.BackupPath(id)
	if got := c.Layout.DataPath(id); got != filepath.Join(base, "data") {
		t.Error(got)
	}
	if got := c.Layout.TablespacePath(id, 16387); got != filepath.Join(base, "16387") {
		t.Error(got)
	}
	put(t, filepath.Join(base, "pgdata", "PG_VERSION"), "9.0\n")
	if got := c.Layout.DataPath(id); got != filepath.Join(base, "pgdata") {
		t.Error(got)
	}
	if got := c.Layout.TablespacePath(id, 16387); got != filepath.Join(base, "pgdata", "pg_tblspc", "16387") {
		t.Error(got)
	}
}

func BenchmarkList1000(b *testing.B) {
	c := newCatalog(b)
	for i := range 1000 {
		info := parsedFullInfo()
		info.ID = fmt.Sprintf("2026%02d%02dT%02d0000", i/720+1, i/24%28+1, i%24)
		if err := os.MkdirAll(c.Layout.Meta(), 0o755); err != nil {
			b.Fatal(err)
		}
		put(b, c.Layout.InfoPath(info.ID), encode(b, info))
		if err := os.MkdirAll(c.Layout.DataPath(info.ID), 0o755); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if _, err := c.List(); err != nil {
			b.Fatal(err)
		}
	}
}

func TestForRetention(t *testing.T) {
	end := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	full := usable("20260101T000000", 2, 3)
	full.EndTime = end
	child := withStatus(usable("20260102T000000", 4, 5), StatusStarted)
	child.Mode, child.ParentID = ModePostgres, full.ID
	list := NewBackups("main", full, child, withStatus(usable("20260103T000000", 0, 0), StatusEmpty))
	got := list.ForRetention(map[string]Keep{full.ID: KeepStandalone}, map[string]bool{full.ID: true}, child.ID)
	want := []retention.Backup{
		{ID: full.ID, Done: true, EndTime: end, Keep: retention.KeepStandalone, Doomed: true},
		{ID: child.ID, Parent: full.ID, InProgress: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	child.Status = StatusEmpty
	if diff := cmp.Diff(want, list.ForRetention(map[string]Keep{full.ID: KeepStandalone}, map[string]bool{full.ID: true}, child.ID)); diff != "" {
		t.Errorf("an incremental backup that has only begun: %s", diff)
	}
}
