package matrix

import (
	"strings"
	"syscall"
	"testing"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/test/lab"
)

// standbyRows are backups of a standby. Its WAL comes from the primary, under the same name of a server.
func standbyRows() []row {
	return []row{
		{name: "standby, rsync", options: ofStandby("rsync", true), taken: onStandby},
		{name: "standby, postgres", options: ofStandby("postgres", true), taken: onStandby},
		{name: "standby without primary_conninfo", options: ofStandby("local-rsync", false), taken: onStandby},
		{name: "standby is promoted during a backup: FAILED", alone: promoted},
	}
}

// ofStandby are the options of a backup of the standby, by a method, with or without a way to its primary.
func ofStandby(method string, primary bool) func(*scene) map[string]any {
	return func(s *scene) map[string]any {
		standby := s.standby()
		options := map[string]any{
			"backup_method": method, "conninfo": standby.Conninfo("", ""), "streaming_conninfo": standby.Conninfo("", ""),
			"immediate_checkpoint": true,
		}
		if method == "rsync" {
			options["ssh_command"] = s.ssh()
		}
		if primary {
			options["primary_conninfo"] = s.primary.Conninfo("", "")
		}
		return options
	}
}

// standby is a standby of the server, made when it is asked for the first time.
func (s *scene) standby() *lab.Cluster {
	if s.theStandby == nil {
		s.theStandby = s.newStandby(s.whole)
	}
	return s.theStandby
}

// newStandby makes one that archives nothing when it is promoted: its timeline is another one.
func (s *scene) newStandby(t *testing.T) *lab.Cluster {
	t.Helper()
	standby := s.primary.StartStandby(t, lab.ClusterOptions{Settings: map[string]string{"archive_command": "/bin/false"}})
	if err := standby.WaitCaughtUp(t.Context(), s.primary); err != nil {
		t.Fatal(err)
	}
	return standby
}

// onStandby wants that it was the standby that was backed up, that it is still one, and out of backup mode.
func onStandby(t *testing.T, tr *trial) {
	if want := tr.standby().Data; tr.info.PGData != want {
		t.Errorf("the backup is of %s, want %s", tr.info.PGData, want)
	}
	if !strings.Contains(tr.info.BackupLabel, "BACKUP FROM: standby") {
		t.Errorf("the label does not speak of a standby:\n%s", tr.info.BackupLabel)
	}
	if err := tr.outOfBackup(t.Context(), tr.standby()); err != nil {
		t.Error(err)
	}
	if got := tr.standby().MustSQL(t, "SELECT pg_is_in_recovery()"); got != "t" {
		t.Error("the standby is none any more")
	}
}

// promoted promotes a standby in the middle of a backup: what was copied cannot be used.
func promoted(t *testing.T, s *scene) {
	standby := s.newStandby(t)
	options := ofStandby("local-rsync", true)(s)
	options["conninfo"], options["streaming_conninfo"] = standby.Conninfo("", ""), standby.Conninfo("", "")
	s.configure(t, []row{{options: func(*scene) map[string]any { return options }}})
	r := s.startSlowly(t, 10000)
	standby.MustSQL(t, "SELECT pg_promote()")
	if exit := r.end(syscall.Signal(0)); exit != 1 {
		t.Errorf("the backup of a promoted standby ended with exit code %d:\n%s", exit, r.output)
	}
	s.configure(t, nil)
	b, err := s.host.Catalog("main").Load(r.id)
	if err != nil {
		t.Fatal(err)
	}
	if b.Status != catalog.StatusFailed || !strings.Contains(b.Error, "promoted") {
		t.Errorf("the backup of a promoted standby is %s, because of %q", b.Status, b.Error)
	}
	if err := s.outOfBackup(t.Context(), standby); err != nil {
		t.Error(err)
	}
}
