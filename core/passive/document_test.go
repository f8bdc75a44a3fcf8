package passive

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/core/catalog"
)

// goodAnswer is a small answer; tests spoil it.
const goodAnswer = `{"last_position": 0, "last_name": "000000010000000000000002", "backups": {"20250101T000000": {"begin_wal": "000000010000000000000002",
"end_wal": "000000010000000000000003", "status": "DONE", "xlog_segment_size": 16777216, "tablespaces": [["t", 16387, "/t"]], "mode": "postgres",
"backup_label": "'START'", "children_backup_ids": "20250102T000000"}},
"wals": [{"compression": null, "encryption": null, "name": "000000010000000000000002", "size": 5, "time": 1.5}],
"version": "3.17.0", "config": {"name": "main", "basebackups_directory": "/b/base", "wals_directory": "/b/wals", "compression": null}}`

func TestGoodAnswerIsRead(t *testing.T) {
	var wals []catalog.WALRecord
	doc, err := ReadDocument(strings.NewReader(goodAnswer), func(r catalog.WALRecord) error {
		wals = append(wals, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]catalog.WALRecord{{Name: "000000010000000000000002", Size: 5, ModTime: 1.5}}, wals); diff != "" {
		t.Errorf("WAL (-want +got):\n%s", diff)
	}
	b := doc.Backup("20250101T000000")
	if b.Err != nil || len(doc.Backups) != 1 {
		t.Fatal(b.Err)
	}
	if got := fmt.Sprint(b.Info.BackupLabel, b.Info.ChildrenIDs, b.Info.Tablespaces); got != "START[20250102T000000] [{t 16387 /t}]" {
		t.Error(got)
	}
	if want := (RemoteConfig{Name: "main", Base: "/b/base", WALs: "/b/wals"}); doc.Config != want {
		t.Errorf("config %+v", doc.Config)
	}
}

// TestWholeAnswerIsRefused: what is wrong with these concerns everything.
func TestWholeAnswerIsRefused(t *testing.T) {
	for name, test := range map[string]struct{ old, by, want string }{
		"empty":                     {goodAnswer, "", "cut off"},
		"cut off":                   {goodAnswer[len(goodAnswer)-30:], "", "cut off"},
		"cut off at a member":       {`, "config"` + goodAnswer[strings.Index(goodAnswer, `"config"`)+8:], "", "cut off"},
		"a shell that talks before": {`{"last_position"`, `Welcome! {"last_position"`, "invalid character"},
		"a shell that talks after":  {`"compression": null}}`, `"compression": null}} logout`, "follows its end"},
		"two documents":             {`"compression": null}}`, `"compression": null}}{}`, "follows its end"},
		"a list":                    {goodAnswer, "[]", "stands where"},
		"no wals":                   {`"wals"`, `"wols"`, `no "wals"`},
		"no config":                 {`"config"`, `"konfig"`, `no "config"`},
		"a negative position":       {`"last_position": 0`, `"last_position": -1`, "end of the index"},
		"a position that is text":   {`"last_position": 0`, `"last_position": "0"`, "json"},
		"an impossible last name":   {`"last_name": "000000010000000000000002"`, `"last_name": "../x"`, "end of the index"},
		"a WAL name with a path":    {`"name": "000000010000000000000002"`, `"name": "../../etc/passwd"`, "passwd"},
		"a WAL name that is empty":  {`"name": "000000010000000000000002"`, `"name": ""`, "name"},
		"a negative size":           {`"size": 5`, `"size": -5`, "impossible size"},
		"a size that is a fraction": {`"size": 5`, `"size": 5.5`, "json"},
		"no time":                   {`"time": 1.5`, `"tame": 1.5`, "no time"},
		"a compression with a tab":  {`[{"compression": null`, `[{"compression": "gz\tip"`, "name of a format"},
		"a backup id with a path":   {`"20250101T000000": {`, `"../../x": {`, "not a backup id"},
		"a backup id with a hyphen": {`"20250101T000000": {`, `"--delete": {`, "not a backup id"},
		"a backup listed twice":     {`"backups": {`, `"backups": {"20250101T000000": {},`, "listed twice"},
		"a relative directory":      {`"/b/base"`, `"b/base"`, "as a directory"},
		"the root as directory":     {`"/b/wals"`, `"/"`, "as a directory"},
		"a directory with dots":     {`"/b/wals"`, `"/b/../etc"`, "as a directory"},
		"a directory in two lines":  {`"/b/wals"`, `"/b\nwals"`, "as a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(goodAnswer, test.old, test.by, 1)
			if text == goodAnswer {
				t.Fatal("nothing was spoilt")
			}
			_, err := ReadDocument(strings.NewReader(text), nil)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

// TestOneBackupIsRefused: what is wrong with these concerns one backup and leaves the others usable.
func TestOneBackupIsRefused(t *testing.T) {
	for name, test := range map[string]struct{ old, by string }{
		"an oid that is a path":       {`16387`, `"../../etc"`},
		"an oid of zero":              {`16387`, `0`},
		"an oid beyond 32 bits":       {`16387`, `4294967296`},
		"a WAL name that is none":     {`"end_wal": "000000010000000000000003"`, `"end_wal": "x"`},
		"no end":                      {`"end_wal": "000000010000000000000003"`, `"end_wal": null`},
		"a status that is unknown":    {`"DONE"`, `"FINE"`},
		"a status that is no use":     {`"DONE"`, `"FAILED"`},
		"a text of two lines":         {`"mode": "postgres"`, `"mode": "postgres\nsystemid=1"`},
		"a child with a path":         {`"20250102T000000"`, `"../x"`},
		"a parent with a path":        {`"mode": "postgres"`, `"parent_backup_id": "../x"`},
		"a parent that is younger":    {`"mode": "postgres"`, `"parent_backup_id": "20250102T000000"`},
		"a label that is no literal":  {`"'START'"`, `"'START"`},
		"a segment size of 17 bytes":  {`16777216`, `17`},
		"another name for itself":     {`"mode": "postgres"`, `"backup_id": "20250101T000001"`},
		"a value of a wrong type":     {`"mode": "postgres"`, `"mode": {"a": 1}`},
		"a list where a text belongs": {`"children_backup_ids": "20250102T000000"`, `"children_backup_ids": ["20250102T000000"]`},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(goodAnswer, test.old, test.by, 1)
			if text == goodAnswer {
				t.Fatal("nothing was spoilt")
			}
			doc, err := ReadDocument(strings.NewReader(text), nil)
			if err != nil {
				t.Fatal(err)
			}
			if b := doc.Backup("20250101T000000"); b == nil || b.Err == nil || b.Info != nil {
				t.Errorf("backup %+v", b)
			}
		})
	}
}

func TestUnknownKeysAreTolerated(t *testing.T) {
	text := strings.NewReplacer(`"mode"`, `"from_the_future": {"a": [1, null]}, "mode"`, `"size": 5`, `"checksum": "x", "size": 5`,
		`"version"`, `"more": [{}], "version"`).Replace(goodAnswer)
	doc, err := ReadDocument(strings.NewReader(text), nil)
	if err != nil || doc.Backups[0].Err != nil {
		t.Fatal(err, doc.Backups[0].Err)
	}
	if info, err := catalog.EncodeInfo(doc.Backups[0].Info); err != nil || bytes.Contains(info, []byte("future")) {
		t.Errorf("%v\n%s", err, info)
	}
}

// TestDamageOfPythonPassiveNodesIsRepaired: what such a node hands on to a node of its own.
func TestDamageOfPythonPassiveNodesIsRepaired(t *testing.T) {
	text := strings.NewReplacer(`"'START'"`, `"'\\'START\\\\nB\\''"`, `"20250102T000000"`, `"2,0,2,5,0,1,0,2,T,0,0,0,0,0,0,,,2,0,2,5,0,1,0,3,T,0,0,0,0,0,0"`).
		Replace(goodAnswer)
	doc, err := ReadDocument(strings.NewReader(text), nil)
	if err != nil || doc.Backups[0].Err != nil {
		t.Fatal(err, doc.Backups[0].Err)
	}
	b := doc.Backups[0].Info
	if got := fmt.Sprintf("%q %v", b.BackupLabel, b.ChildrenIDs); got != `"START\nB" [20250102T000000 20250103T000000]` {
		t.Error(got)
	}
}

func TestRemoteLine(t *testing.T) {
	for want, test := range map[string]struct {
		server, config string
		known          catalog.WALMark
	}{
		"barman sync-info main":                             {server: "main"},
		"barman -c '/etc/my barman.hcl' sync-info main":     {server: "main", config: "/etc/my barman.hcl"},
		"barman sync-info main 000000010000000000000002 45": {"main", "", catalog.WALMark{Name: "000000010000000000000002", Position: 45}},
		"barman sync-info main 000000010000000000000002":    {"main", "", catalog.WALMark{Name: "000000010000000000000002"}},

		`barman -c '/a'\''; rm -rf /' sync-info '$(reboot)'`:        {server: "$(reboot)", config: "/a'; rm -rf /"},
		"barman -c /etc/barman.hcl sync-info main 00000002.history": {"main", "/etc/barman.hcl", catalog.WALMark{Name: "00000002.history"}},
	} {
		p := Primary{Server: test.server, Config: test.config}
		if got := p.remoteLine(test.known); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}

func TestMarkOfSyncWALs(t *testing.T) {
	for text, want := range map[string]struct {
		mark catalog.WALMark
		ok   bool
	}{
		"000000010000000000000002\t45":   {catalog.WALMark{Name: "000000010000000000000002", Position: 45}, true},
		"000000010000000000000002\t45\n": {catalog.WALMark{Name: "000000010000000000000002", Position: 45}, true},
		"000000010000000000000002\t0":    {catalog.WALMark{Name: "000000010000000000000002"}, true},
		"\t0":                            {ok: true},
		"":                               {},
		"000000010000000000000002":       {},
		"x\t1":                           {},
		"000000010000000000000002\t-1":   {},
	} {
		if mark, ok := parseMark(text); mark != want.mark || ok != want.ok {
			t.Errorf("%q is %+v, %v", text, mark, ok)
		}
	}
}

func FuzzReadDocument(f *testing.F) {
	f.Add([]byte(goodAnswer))
	if answer, err := os.ReadFile("testdata/answer.json"); err == nil {
		f.Add(answer)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		doc, err := ReadDocument(bytes.NewReader(text), func(r catalog.WALRecord) error { return r.Validate() })
		if err != nil {
			return
		}
		for _, b := range doc.Backups {
			if !catalog.ValidID(b.ID) || (b.Err == nil) == (b.Info == nil) {
				t.Errorf("backup %+v", b)
			}
			if b.Info == nil {
				continue
			}
			if _, err := catalog.EncodeInfo(b.Info); err != nil {
				t.Errorf("a backup that was accepted cannot be recorded: %v", err)
			}
		}
	})
}
