package hook

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	sdkhook "github.com/barman-go/barman/sdk/hook"
)

// barmanVariables runs one script and returns the BARMAN_* variables that it saw, sorted.
func barmanVariables(t *testing.T, option string, phase func(*bench)) string {
	t.Helper()
	b := newBench(t, map[string]string{option: `env | grep ^BARMAN_ | LC_ALL=C sort > "$TRACE"`})
	phase(b)
	return strings.Join(b.traced(t), "\n") + "\n"
}

func TestEnvironmentOfEveryEvent(t *testing.T) {
	backup := Backup{
		Backup: sdkhook.Backup{
			ID: "20250101T000000", NextID: "20250104T000000", Status: "DONE", Directory: "/var/lib/barman/main/base/20250101T000000",
		},
		InfoPath: "/var/lib/barman/main/meta/20250101T000000-backup.info",
	}
	failed := backup
	failed.Status, failed.Error, failed.PreviousID = "FAILED", "failure copying files (\xff no space)", "20241231T000000"
	wal := WAL{
		Name: "000000010000000000000001", File: "/var/lib/barman/main/wals/0000000100000000/000000010000000000000001",
		Size: 65603, Timestamp: 1735725600.5, Compression: "gzip",
	}
	lost := WAL{
		Name: "00000002.history", File: "/w/00000002.history", Size: 42, Timestamp: 1735725600,
		Error: "Ignoring deletion of WAL file 00000002.history for server main: no such file",
	}
	recovery := Recovery{
		Backup: failed, Destination: "/var/lib/pgsql/data", Tablespaces: map[string]string{"tbs2": "/srv/t 2", "tbs1": "/srv/é\"😀"},
		RemoteCommand: "ssh postgres@pg",
		Options: map[string]any{
			"target_time": "2025-01-01 10:00:00", "exclusive": true, "target_xid": "", "target_immediate": false,
			"recovery_option_port": 0, "target_tli": 2,
		},
	}
	cases := []struct {
		golden, option string
		phase          func(*bench)
	}{
		{"pre_delete_script", "pre_delete_script", func(b *bench) { _ = b.Pre(t.Context(), DeleteEvent(backup)) }},
		{"post_backup_retry_script", "post_backup_retry_script", func(b *bench) { b.Post(t.Context(), BackupEvent(failed)) }},
		{"post_archive_script", "post_archive_script", func(b *bench) { b.Post(t.Context(), ArchiveEvent(wal)) }},
		{"post_wal_delete_retry_script", "post_wal_delete_retry_script", func(b *bench) { b.Post(t.Context(), WALDeleteEvent(lost)) }},
		{"pre_recovery_retry_script", "pre_recovery_retry_script", func(b *bench) { _ = b.Pre(t.Context(), RecoveryEvent(recovery)) }},
		{"post_recovery_script", "post_recovery_script", func(b *bench) { b.Post(t.Context(), RecoveryEvent(Recovery{Backup: backup})) }},
	}
	for _, c := range cases {
		t.Run(c.golden, func(t *testing.T) {
			want, err := os.ReadFile(filepath.Join("testdata", c.golden+".env"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), barmanVariables(t, c.option, c.phase)); diff != "" {
				t.Errorf("environment (-want +got):\n%s", diff)
			}
		})
	}
}

func TestScriptsInheritTheEnvironmentAndOtherHooksDoNot(t *testing.T) {
	s := NewSet(Options{Environ: []string{"HOME=/root", "BARMAN_ERROR=old", "EMPTY=", "bad\xff=x", "BAD=\xff", "nonsense"}, Directory: "/srv"}, nil)
	got := s.environment(Hook{Event: "backup", Phase: "pre", InheritEnvironment: true}, BackupEvent(Backup{}))
	for name, want := range map[string]string{"HOME": "/root", "BARMAN_ERROR": "", "EMPTY": "", "PWD": "/srv"} {
		if value, found := got[name]; !found || value != want {
			t.Errorf("%s = %q (%v), want %q", name, value, found, want)
		}
	}
	if _, found := got["BAD"]; found {
		t.Error("a value that is not text was passed on changed")
	}
	got = s.environment(Hook{Event: "backup", Phase: "pre"}, BackupEvent(Backup{}))
	for name := range got {
		if !strings.HasPrefix(name, "BARMAN_") {
			t.Errorf("a hook of another plugin got %s", name)
		}
	}
}

func TestRequestCarriesTheSameFactsWithTypes(t *testing.T) {
	r := Recovery{
		Backup: Backup{Backup: sdkhook.Backup{ID: "20250101T000000"}}, Destination: "/d",
		Tablespaces: map[string]string{"a": "/b"}, Options: map[string]any{"target_xid": "7"},
	}
	got := RecoveryEvent(r).request(Hook{Event: "recovery", Phase: "post", Retry: true}, map[string]string{"X": "y"})
	want := sdkhook.Event{
		Name: "recovery", Phase: "post", Retry: true, Attempt: 1, Environment: map[string]string{"X": "y"},
		Recovery: &sdkhook.Recovery{
			Backup: sdkhook.Backup{ID: "20250101T000000"}, Destination: "/d", Tablespaces: map[string]string{"a": "/b"},
			OptionsJSON: `{"target_xid": "7"}`,
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}
