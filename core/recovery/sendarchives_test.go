package recovery

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/barman-go/barman/sdk/progress"
	"github.com/barman-go/barman/sdk/transfer"
)

// fakeSSH is a remote command: it runs its last argument in a shell on this host, after a script of the test.
func fakeSSH(t *testing.T, script string) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ssh")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\nexec /bin/sh -c \"$2\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return []string{path, "postgres@db2"}
}

// TestSentArchivesAreUnpackedAndSentAgain has the connection break once, after some files have been made.
func TestSentArchivesAreUnpackedAndSentAgain(t *testing.T) {
	packed := makeTar(t,
		member{name: "backup_label", content: "START", mode: 0o600},
		member{name: "tablespace_map", content: "x", mode: 0o600},
		member{name: "log/old.log", content: "x", mode: 0o600},
		member{name: "conf.d/one.conf", content: "x", mode: 0o640},
		member{name: "conf.d/deeper/two.conf", content: "x", mode: 0o600},
		member{name: "pg_tblspc/1", kind: '2', link: "/etc", mode: 0o777},
		member{name: "base/it's %s $(touch x) \\ \"here\"", content: strings.Repeat("x", 100000), mode: 0o600},
		member{name: controlFile, content: "control", mode: 0o600},
	)
	dir := filepath.Join(t.TempDir(), "it's $HOME")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path, broken := filepath.Join(t.TempDir(), "base.tar"), filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(path, packed, 0o600); err != nil {
		t.Fatal(err)
	}
	ssh := fakeSSH(t, fmt.Sprintf("if [ ! -e %[1]s ]; then touch %[1]s; head -c 5000 | /bin/sh -c \"$2\" 2>/dev/null; exit 255; fi", broken))
	var last progress.Progress
	r := &restore{
		Restorer: &Restorer{Log: hclog.NewNullLogger(), Progress: progress.Func(func(p progress.Progress) { last = p })},
		options:  &Options{Remote: ssh, Retry: transfer.Retry{Times: 1}}, plan: &Plan{Destination: dir}, sent: &sentNames{},
	}
	a := Archive{Label: "pgdata", Path: path, Bytes: int64(len(packed)), Directory: dir}
	meter := &unpackMeter{rep: r.Progress, total: content{bytes: int64(len(packed))}, label: "sending archives"}
	if err := r.sendWithRetries(t.Context(), a, newPace(0), meter); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"backup_label": true, "tablespace_map": false, "log/old.log": false, "conf.d/one.conf": true, "pg_tblspc/1": false,
		controlFile: false, pendingControl: true, "base/it's %s $(touch x) \\ \"here\"": true,
	} {
		if _, err := os.Lstat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := r.sent.below("conf.d"); len(got) != 1 || got[0] != "one.conf" {
		t.Errorf("configuration files %q", got)
	}
	if last.BytesDone != last.BytesTotal {
		t.Errorf("progress %+v", last)
	}
	r.options.Retry.Times = 0
	if err := os.Remove(broken); err != nil {
		t.Fatal(err)
	}
	if err := r.sendWithRetries(t.Context(), a, newPace(0), meter); err == nil {
		t.Error("a broken connection without a retry is no error")
	}
}
