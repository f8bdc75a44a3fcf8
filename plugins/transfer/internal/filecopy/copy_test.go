package filecopy

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/plugin"
	"github.com/barman-go/barman/sdk/progress"
	"github.com/barman-go/barman/sdk/transfer"
	"github.com/barman-go/barman/test/lab"
)

// way is one way to move files: a direction, and how the other side is reached.
type way struct {
	name      string
	direction transfer.Direction
	remote    []string
	workers   int
}

// everyWay runs a test in each direction, with one worker and with several.
func everyWay(t *testing.T, test func(t *testing.T, w way)) {
	t.Helper()
	me, err := lab.CurrentUser()
	if err != nil {
		t.Fatal(err)
	}
	ssh := lab.StartSSHD(t).Command(me, me)
	for _, w := range []way{
		{"local", transfer.Local, nil, 1},
		{"local, 3 workers", transfer.Local, nil, 3},
		{"fetch", transfer.Fetch, ssh, 1},
		{"fetch, 3 workers", transfer.Fetch, ssh, 3},
		{"put", transfer.Put, ssh, 1},
		{"put, 3 workers", transfer.Put, ssh, 3},
	} {
		t.Run(w.name, func(t *testing.T) { test(t, w) })
	}
}

func (w way) copy(t *testing.T, items ...transfer.Item) transfer.CopyResult {
	t.Helper()
	result, err := w.try(t, items...)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// openSSH is NewSSH, closed when the test ends.
func openSSH(t *testing.T, env plugin.Env) *Copier {
	t.Helper()
	c := NewSSH(env)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func (w way) try(t *testing.T, items ...transfer.Item) (transfer.CopyResult, error) {
	t.Helper()
	return openSSH(t, plugin.Env{WorkDir: t.TempDir()}).Copy(t.Context(), transfer.Plan{
		Direction: w.direction, Remote: w.remote, Workers: w.workers, Items: items,
	}, progress.Discard)
}

// tree is a directory's content: path → content of a file, "dir" for a directory.
type tree map[string]string

func write(t *testing.T, dir string, files tree) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if content == "dir" {
			if err := os.MkdirAll(path, 0o700); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}

func read(t *testing.T, dir string) tree {
	t.Helper()
	got := tree{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		if d.IsDir() {
			got[name] = "dir"
			return nil
		}
		if !d.Type().IsRegular() {
			got[name] = d.Type().String()
			return nil
		}
		content, err := os.ReadFile(path)
		got[name] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func same(t *testing.T, want, got tree) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func setTime(t *testing.T, when time.Time, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Ino
}

func TestFullCopyOfPGDATAAndTablespace(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		src, ts, dst, outside := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
		odd := "odd\n name\t'\"$(x)*\\#012\xff"
		write(t, src, tree{
			"PG_VERSION": "15\n", "base/1/1259": "catalog", "base/1/" + odd: "odd", "global/pg_control": "control",
			"empty": "dir", "pg_wal/000000010000000000000001": "wal", "pg_wal/archive_status": "dir",
			"pg_tblspc/16400/PG_15_202209061/5/16401": "elsewhere", "base/pgsql_tmp/pgsql_tmp1": "tmp", "- x": "dashing",
		})
		write(t, outside, tree{"linked": "through a link"})
		if err := errors.Join(os.Symlink(outside, filepath.Join(src, "pg_link")), syscall.Mkfifo(filepath.Join(src, "pipe"), 0o600)); err != nil {
			t.Fatal(err)
		}
		write(t, ts, tree{"PG_15_202209061/5/16401": "rows", "PG_14_202107181/5/1": "old version", "lost+found": "dir"})
		if err := errors.Join(os.Chmod(filepath.Join(src, "PG_VERSION"), 0o640), os.Chmod(filepath.Join(src, "empty"), 0o750)); err != nil {
			t.Fatal(err)
		}
		result := w.copy(t,
			transfer.Item{
				Label: "hot", Kind: transfer.Directory, Source: ts, Destination: dst + "/16400",
				Include: []string{"/PG_15_*"}, Exclude: []string{"/*"},
			},
			transfer.Item{
				Label: "pgdata", Kind: transfer.Directory, Source: src, Destination: dst + "/data",
				Exclude:           []string{"/pg_wal/*", "/global/pg_control", "pgsql_tmp*", "- x"},
				ExcludeAndProtect: []string{"/pg_tblspc/16400"},
			},
			transfer.Item{
				Label: "pg_control", Kind: transfer.File, Source: src + "/global/pg_control",
				Destination: dst + "/data/global/pg_control", Phase: 1,
			},
			transfer.Item{
				Label: "ident_file", Kind: transfer.File, Source: outside + "/no such", Destination: dst + "/data", Optional: true,
			},
		)
		same(t, tree{
			"16400": "dir", "16400/PG_15_202209061": "dir", "16400/PG_15_202209061/5": "dir",
			"16400/PG_15_202209061/5/16401": "rows",
			"data":                          "dir", "data/PG_VERSION": "15\n", "data/base": "dir", "data/base/1": "dir", "data/base/1/1259": "catalog",
			"data/base/1/" + odd: "odd", "data/global": "dir", "data/global/pg_control": "control", "data/empty": "dir",
			"data/pg_wal": "dir", "data/pg_tblspc": "dir", "data/pg_link": "dir", "data/pg_link/linked": "through a link",
		}, read(t, dst))
		for name, want := range map[string]fs.FileMode{"PG_VERSION": 0o640, "empty": 0o750} {
			if info, err := os.Stat(filepath.Join(dst, "data", name)); err != nil || info.Mode().Perm() != want {
				t.Errorf("mode of %s: %v, %v", name, info.Mode(), err)
			}
		}
		if result.Files != 6 || result.FilesCopied != 6 || result.Bytes != result.BytesCopied || result.Bytes == 0 {
			t.Errorf("result %+v", result)
		}
	})
}

func TestPathsThatLookLikePatternsOrOptions(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		base := t.TempDir()
		src, dst := base+"/s*r[c]? it's", base+"/d*s[t]? it's"
		// What the names would match as patterns.
		write(t, base, tree{"sXrc? it's/wrong": "wrong", "dXst? it's": "dir"})
		write(t, src, tree{"sub/file": "right", "single": "one"})
		w.copy(t,
			transfer.Item{Label: "pgdata", Kind: transfer.Directory, Source: src, Destination: dst, Exclude: []string{"/single"}},
			transfer.Item{Label: "single", Kind: transfer.File, Source: src + "/single", Destination: dst + "/single"},
		)
		same(t, tree{"sub": "dir", "sub/file": "right", "single": "one"}, read(t, dst))
	})
}

func TestReuseSharesWhatIsOldAndComparesWhatIsYoung(t *testing.T) {
	horizon := time.Now().Add(-time.Hour).Truncate(time.Second)
	before, after := horizon.Add(-time.Minute), horizon.Add(time.Minute)
	everyWay(t, func(t *testing.T, w way) {
		if w.direction == transfer.Put {
			t.Skip("an earlier backup is never on the other side")
		}
		for _, reuse := range []transfer.Reuse{transfer.ReuseLink, transfer.ReuseCopy} {
			base := t.TempDir()
			src, previous, dst := base+"/src", base+"/previous", base+"/dst"
			write(t, previous, tree{"old": "trusted", "young same": "same", "young changed": "AAAA", "at horizon": "BBBB", "gone": "gone", "grown": "1"})
			write(t, src, tree{"old": "trusteD", "young same": "same", "young changed": "aaaa", "at horizon": "bbbb", "grown": "12", "new": "new"})
			for _, dir := range []string{src, previous} {
				setTime(t, before, dir+"/old", dir+"/grown")
				setTime(t, after, dir+"/young same", dir+"/young changed")
				setTime(t, horizon, dir+"/at horizon")
			}
			result := w.copy(t, transfer.Item{
				Label: "pgdata", Kind: transfer.Directory, Source: src, Destination: dst, SafeHorizon: horizon.Add(300 * time.Millisecond),
				Reuse: reuse, ReuseDirectory: previous,
			})
			same(t, tree{
				// Only the clock protects a file older than the horizon; this one lies, and is trusted.
				"old":        "trusted",
				"young same": "same", "young changed": "aaaa", "at horizon": "bbbb", "grown": "12", "new": "new",
			}, read(t, dst))
			same(t, tree{"old": "trusted", "young same": "same", "young changed": "AAAA", "at horizon": "BBBB", "gone": "gone", "grown": "1"}, read(t, previous))
			for name, shared := range map[string]bool{"old": true, "young same": true, "young changed": false, "grown": false} {
				linked := inode(t, previous+"/"+name) == inode(t, dst+"/"+name)
				if linked != (shared && reuse == transfer.ReuseLink) {
					t.Errorf("reuse %d: %s linked: %v", reuse, name, linked)
				}
			}
			if reuse == transfer.ReuseLink && (result.FilesCopied != 4 || result.Files != 6) {
				t.Errorf("result %+v", result)
			}
		}
	})
}

// A retry, or a second run over a half-finished copy, finds files that are links into the earlier backup.
func TestChangedFileDoesNotReachTheEarlierBackupThroughALink(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		if w.direction == transfer.Put {
			t.Skip("an earlier backup is never on the other side")
		}
		base := t.TempDir()
		src, previous, dst := base+"/src", base+"/previous", base+"/dst"
		write(t, previous, tree{"file": "version 1"})
		write(t, src, tree{"file": "version 2"})
		if err := errors.Join(os.Mkdir(dst, 0o700), os.Link(previous+"/file", dst+"/file")); err != nil {
			t.Fatal(err)
		}
		w.copy(t, transfer.Item{
			Label: "pgdata", Kind: transfer.Directory, Source: src, Destination: dst, Reuse: transfer.ReuseLink, ReuseDirectory: previous,
		})
		same(t, tree{"file": "version 2"}, read(t, dst))
		same(t, tree{"file": "version 1"}, read(t, previous))
	})
}

func TestDeltaCopyDeletesAndProtects(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		src, dst := t.TempDir(), t.TempDir()
		write(t, src, tree{"same": "same", "changed": "bbbb", "was dir": "file", "was file/x": "x", "log/new": "log", "sub": "dir"})
		write(t, dst, tree{
			"same": "same", "changed": "aaaa", "was dir/y": "y", "was file": "file", "log/old": "log", "extra/deep/z": "z",
			"pg_tblspc/1/keep": "keep",
		})
		when := time.Now().Add(-time.Hour)
		for _, dir := range []string{src, dst} {
			setTime(t, when, dir+"/same", dir+"/changed")
		}
		w.copy(t, transfer.Item{
			Label: "pgdata", Kind: transfer.Directory, Source: src, Destination: dst, DeleteExtra: true,
			Exclude: []string{"/log/*"}, ExcludeAndProtect: []string{"/pg_tblspc/1", "/pg_tblspc"},
		})
		same(t, tree{
			"same": "same", "changed": "bbbb", "was dir": "file", "was file": "dir", "was file/x": "x", "log": "dir", "sub": "dir",
			"pg_tblspc": "dir", "pg_tblspc/1": "dir", "pg_tblspc/1/keep": "keep",
		}, read(t, dst))
	})
}

func TestMissingSourceIsAnErrorUnlessOptional(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		for _, kind := range []transfer.Kind{transfer.Directory, transfer.File} {
			dst := t.TempDir()
			item := transfer.Item{Label: "hot", Kind: kind, Source: "/no/such/source", Destination: dst + "/x"}
			_, err := w.try(t, item)
			if d := diag.FromError(err); d.Code != diag.CodeNotFound {
				t.Errorf("kind %d: %v", kind, err)
			}
			item.Optional = true
			if _, err := w.try(t, item); err != nil {
				t.Errorf("kind %d, optional: %v", kind, err)
			}
		}
	})
}

func TestFileGoesIntoADirectoryOrGetsANewName(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		src, dst := t.TempDir(), t.TempDir()
		write(t, src, tree{"pg_hba.conf": "hba"})
		item := func(to string) transfer.Item {
			return transfer.Item{Label: "hba_file", Kind: transfer.File, Source: src + "/pg_hba.conf", Destination: to}
		}
		w.copy(t, item(dst), item(dst+"/new name"), item(dst+"/a/b/pg_hba.conf"))
		same(t, tree{"pg_hba.conf": "hba", "new name": "hba", "a": "dir", "a/b": "dir", "a/b/pg_hba.conf": "hba"}, read(t, dst))
	})
}

// A file whose size never changes is copied even when its time did not change either.
func TestFileItemsAreAlwaysCopied(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	write(t, src, tree{"pg_control": "new"})
	write(t, dst, tree{"pg_control": "old"})
	setTime(t, time.Now(), src+"/pg_control", dst+"/pg_control")
	when := time.Now().Truncate(time.Second)
	setTime(t, when, src+"/pg_control", dst+"/pg_control")
	way{direction: transfer.Local, workers: 1}.copy(t, transfer.Item{
		Label: "pg_control", Kind: transfer.File, Source: src + "/pg_control", Destination: dst + "/pg_control",
	})
	same(t, tree{"pg_control": "new"}, read(t, dst))
}

func TestInvalidPlansAreRefused(t *testing.T) {
	good := transfer.Item{Label: "x", Kind: transfer.Directory, Source: "/a", Destination: "/b"}
	relative, unknown, empty := good, good, good
	relative.Destination, unknown.Kind, empty.Exclude = "b", 0, []string{""}
	for name, plan := range map[string]transfer.Plan{
		"no direction":  {Items: []transfer.Item{good}},
		"no remote":     {Direction: transfer.Fetch, Items: []transfer.Item{good}},
		"relative path": {Direction: transfer.Local, Items: []transfer.Item{relative}},
		"no kind":       {Direction: transfer.Local, Items: []transfer.Item{unknown}},
		"empty pattern": {Direction: transfer.Local, Items: []transfer.Item{empty}},
	} {
		_, err := NewSSH(plugin.Env{WorkDir: t.TempDir()}).Copy(t.Context(), plan, nil)
		if d := diag.FromError(err); d.Code != diag.CodeInvalidOption {
			t.Errorf("%s: %v", name, err)
		}
	}
}
