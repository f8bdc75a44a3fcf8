package lab

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPythonBarmanRunsAsPostgres(t *testing.T) {
	owner, err := PostgresUser()
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{"3.13", "3.20"} {
		t.Run(version, func(t *testing.T) {
			barman := PythonBarman(t, version)
			home := ScratchDir(t)
			config := filepath.Join(home, "barman.conf")
			text := "[barman]\nbarman_user = " + owner.Name + "\nbarman_home = " + home + "\nlog_file = " + home + "/log\n" +
				"compression = zstd\n[main]\nconninfo = host=/nowhere\nbackup_method = postgres\ndescription = \"The main one\"\n"
			if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			for args, want := range map[string]string{
				"--version":                       version + ".",
				"-c " + config + " list-servers":  "The main one",
				"-c " + config + " check main":    "PostgreSQL: FAILED",
				"-c " + config + " cron":          "",
				"-c " + config + " show-backup x": "",
			} {
				result, err := Run(owner.Command(t.Context(), home, append(barman, strings.Fields(args)...)...))
				if err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(result.Stdout, want) || strings.Contains(result.Stderr, "Traceback") {
					t.Errorf("barman %s: %+v, want %q in stdout", args, result, want)
				}
			}
		})
	}
}

func TestPgBackRestRuns(t *testing.T) {
	owner, err := PostgresUser()
	if err != nil {
		t.Fatal(err)
	}
	out, err := mustRun(owner.Command(t.Context(), ScratchDir(t), append(PgBackRest(t), "version")...))
	if err != nil || !strings.HasPrefix(out, "pgBackRest ") {
		t.Errorf("%q, %v", out, err)
	}
}
