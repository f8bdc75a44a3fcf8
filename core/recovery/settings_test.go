package recovery

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/sdk/toolexec"
)

func TestRecoverySettings(t *testing.T) {
	client := WALClient{User: "barman", Host: "backup.example", Jobs: 1}
	remote := []string{"ssh", "postgres@db2"}
	for _, tc := range []struct {
		name    string
		version int
		options Options
		client  WALClient
		dir     string
		setting string
		want    []string
	}{
		{
			name: "time", options: Options{TargetTime: "2026-01-07 10:00:00+00"},
			want: []string{
				"restore_command = 'cp /srv/pg/barman_wal/%f %p'", "recovery_end_command = 'rm -fr /srv/pg/barman_wal'",
				"recovery_target_time = '2026-01-07 10:00:00+00:00'",
			},
		},
		{
			name: "exclusive xid", options: Options{TargetXID: "1000", Exclusive: true, TargetAction: "promote"},
			want: []string{
				"restore_command = 'cp /srv/pg/barman_wal/%f %p'", "recovery_end_command = 'rm -fr /srv/pg/barman_wal'",
				"recovery_target_xid = '1000'", "recovery_target_inclusive = 'False'", "recovery_target_action = 'promote'",
			},
		},
		{
			name: "immediate", options: Options{TargetImmediate: true, Exclusive: true}, setting: "current",
			want: []string{
				"restore_command = 'cp /srv/pg/barman_wal/%f %p'", "recovery_end_command = 'rm -fr /srv/pg/barman_wal'",
				"recovery_target = 'immediate'", "recovery_target_timeline = current",
			},
		},
		{
			name: "name with quotes", options: Options{TargetName: `it's a \ name`},
			want: []string{
				"restore_command = 'cp /srv/pg/barman_wal/%f %p'", "recovery_end_command = 'rm -fr /srv/pg/barman_wal'",
				`recovery_target_name = 'it''s a \\ name'`,
			},
		},
		{
			name: "directory that needs quotes", options: Options{TargetLSN: "0/5000000"}, dir: "/srv/my 100% data's",
			want: []string{
				`restore_command = 'cp ''/srv/my 100%% data''\\''''s''/%f %p'`, `recovery_end_command = 'rm -fr ''/srv/my 100%% data''\\''''s'''`,
				"recovery_target_lsn = '0/5000000'",
			},
		},
		{
			name: "get-wal", options: Options{GetWAL: true},
			want: []string{"# The 'barman get-wal' command must run as 'barman' user", "restore_command = 'barman get-wal -P main %f > %p'"},
		},
		{
			name: "get-wal of an installation elsewhere", options: Options{GetWAL: true},
			client: WALClient{User: "barman", Program: "/opt/barman/bin/barman", ConfigFile: "/etc/my barman.hcl"},
			want: []string{
				"# The 'barman get-wal' command must run as 'barman' user",
				"restore_command = '/opt/barman/bin/barman -c ''/etc/my barman.hcl'' get-wal -P main %f > %p'",
			},
		},
		{
			name: "get-wal for a standby", options: Options{GetWAL: true, StandbyMode: true},
			want: []string{"# The 'barman get-wal' command must run as 'barman' user", "restore_command = 'barman get-wal main %f > %p'"},
		},
		{
			name: "remote get-wal", options: Options{GetWAL: true, Remote: remote, OptionPort: 2222},
			client: WALClient{User: "barman", Host: "backup.example", Jobs: 4},
			want: []string{
				"# The 'barman-wal-restore' command is provided in the 'barman-cli' package",
				"restore_command = 'barman-wal-restore -P -U barman --port 2222 backup.example main %f %p -p 4'",
			},
		},
		{name: "standby", options: Options{StandbyMode: true}},
		{name: "standby before 12", version: 110000, options: Options{StandbyMode: true}, want: []string{"standby_mode = 'on'"}},
		{
			name: "action before 9.5", version: 90400, options: Options{TargetXID: "1000", TargetAction: "pause"},
			want: []string{
				"restore_command = 'cp /srv/pg/barman_wal/%f %p'", "recovery_end_command = 'rm -fr /srv/pg/barman_wal'",
				"recovery_target_xid = '1000'", "pause_at_recovery_target = 'on'",
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			target, err := ParseTarget(&tc.options, time.UTC)
			if err != nil {
				t.Fatal(err)
			}
			if tc.version == 0 {
				tc.version = 150004
			}
			if tc.dir == "" {
				tc.dir = "/srv/pg/barman_wal"
			}
			if tc.client == (WALClient{}) {
				tc.client = client
			}
			p := &Plan{Server: serverName, Backup: testBackup(1, tc.version), Target: target, WALDirectory: tc.dir, TimelineSetting: tc.setting}
			if diff := cmp.Diff(tc.want, recoveryLines(p, &tc.options, tc.client)); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
		})
	}
}

// TestShellWordReachesTheProgramUnchanged asks a real shell.
func TestShellWordReachesTheProgramUnchanged(t *testing.T) {
	for _, word := range []string{"/srv/pg", "a b", "it's", `"x"`, "$(touch /tmp/x)", "`id`", `back\slash`, "*", "%f", "", "-n", "é", "a;b", "#x"} {
		out, err := exec.Command("sh", "-c", "printf %s "+toolexec.ShellWord(word)).Output()
		if err != nil || string(out) != word {
			t.Errorf("%q became %q (%v) as %s", word, out, err, toolexec.ShellWord(word))
		}
	}
}

func FuzzConfigValue(f *testing.F) {
	f.Add(`it's \ 'x'`)
	f.Fuzz(func(t *testing.T, text string) {
		if got := unquote(configValue(text)); got != text {
			t.Fatalf("%q reads back as %q", text, got)
		}
	})
}

func TestMangleSwitchesDangerousSettingsOff(t *testing.T) {
	content := strings.Join([]string{
		"# archive_command = 'commented'",
		"archive_mode = on",
		"Archive_Command = 'cp %p /archive/%f'   # comment",
		"archive_command 'again'",
		"  archive_library='basic_archive'",
		"recovery_target_time = '2020-01-01'",
		"recovery_target_timelines = 'not ours'",
		"restore_command = 'cp /old/barman_wal/%f %p'",
		"recovery_end_command = 'rm -fr /old/barman_wal'",
		"archive_cleanup_command = 'x'",
		"data_directory = '/x'\t# comment",
		"include_dir 'conf.d'",
		"port=5432",
	}, "\n")
	want := strings.Join([]string{
		"# archive_command = 'commented'",
		"archive_mode = on",
		"#BARMAN#Archive_Command = 'cp %p /archive/%f'   # comment",
		"archive_command = false",
		"#BARMAN#archive_command 'again'",
		"archive_command = false",
		"#BARMAN#  archive_library='basic_archive'",
		"#BARMAN#recovery_target_time = '2020-01-01'",
		"recovery_target_timelines = 'not ours'",
		"#BARMAN#restore_command = 'cp /old/barman_wal/%f %p'",
		"#BARMAN#recovery_end_command = 'rm -fr /old/barman_wal'",
		"archive_cleanup_command = 'x'",
		"data_directory = '/x'\t# comment",
		"include_dir 'conf.d'",
		"port=5432",
	}, "\n")
	m := mangle("postgresql.conf", content)
	if diff := cmp.Diff(want, m.content); diff != "" {
		t.Errorf("content (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Setting{
		{"postgresql.conf", 4, "archive_command", "false"},
		{"postgresql.conf", 6, "archive_command", "false"},
		{"postgresql.conf", 7, "archive_library", ""},
		{"postgresql.conf", 8, "recovery_target_time", ""},
		{"postgresql.conf", 10, "restore_command", ""},
		{"postgresql.conf", 11, "recovery_end_command", ""},
	}, m.changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Setting{
		{"postgresql.conf", 13, "data_directory", "'/x'\t# comment"}, {"postgresql.conf", 14, "include_dir", "'conf.d'"},
	}, m.warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	m.appendLines([]string{"recovery_target = 'immediate'"})
	if !strings.HasSuffix(m.content, "port=5432\n\nrecovery_target = 'immediate'\n") {
		t.Errorf("end: %q", m.content[len(m.content)-60:])
	}
}

func TestMangleWithoutDangerChangesNothing(t *testing.T) {
	for _, content := range []string{"", "\n", "port = 1", "a\nb\r\n", "archive_command_x = 1\n"} {
		if m := mangle("postgresql.conf", content); m.content != content || len(m.changes) > 0 {
			t.Errorf("%q became %q", content, m.content)
		}
	}
}
