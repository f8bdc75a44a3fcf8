package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/lock"
	"github.com/barman-go/barman/core/postgres"
	"github.com/barman-go/barman/core/receive"
	"github.com/barman-go/barman/core/report"
)

func newStatusCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "status SERVER…",
		Short:   "Show the state of a server and of its backups",
		Example: "  barman status main\n  barman -f json status all",
		Args:    usage(cobra.MinimumNArgs(1)),
		RunE:    showEach(a, func(ctx context.Context, s *server) (*serverStatus, error) { return s.status(ctx) }),
	}
	completeServers(a, cmd)
	return cmd
}

// serverStatus is the output of status for one server.
type serverStatus struct {
	server string
	lines  []statusLine
}

type statusLine struct{ code, label, text string }

func (r *serverStatus) add(code, label, format string, args ...any) {
	r.lines = append(r.lines, statusLine{code, label, fmt.Sprintf(format, args...)})
}

func (r *serverStatus) Console(p *report.Printer) {
	p.Line("Server %s:", r.server)
	for _, l := range r.lines {
		p.Line("\t%s: %s", l.label, l.text)
	}
}

func (r *serverStatus) JSON() map[string]any {
	items := map[string]any{}
	for _, l := range r.lines {
		items[l.code] = map[string]any{"description": l.label, "message": l.text}
	}
	return map[string]any{r.server: items}
}

func (s *server) status(ctx context.Context) (*serverStatus, error) {
	r := &serverStatus{server: s.Name}
	// The catalog is read while PostgreSQL thinks.
	backups := later(s.catalog.List)
	if s.Description != "" {
		r.add("description", "Description", "%s", s.Description)
	}
	r.add("active", "Active", "%s", pythonBool(s.Active))
	r.add("disabled", "Disabled", "%s", pythonBool(s.Disabled))
	r.add("active_model", "Active configuration model", "%s", cmp.Or(s.ActiveModel, "None"))
	if !s.Passive() && s.Active { // nobody is promised that the PostgreSQL of an inactive server exists
		facts, err := s.facts(ctx)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			s.log.Warn("cannot ask PostgreSQL for its status", "server", s.Name, "error", err)
		}
		r.addPostgres(facts)
		if s.Archiver && facts != nil {
			r.addArchiver(facts)
		}
	}
	if s.StreamingArchiver && !s.Passive() {
		if err := s.addReceiver(r); err != nil {
			return nil, err
		}
	}
	r.add("passive_node", "Passive node", "%s", pythonBool(s.Passive()))
	if s.RetentionPolicy == "" {
		r.add("retention_policies", "Retention policies", "not enforced")
	} else {
		r.add("retention_policies", "Retention policies", "enforced (mode: %s, retention: %s, WAL retention: %s)",
			s.RetentionPolicyMode, s.RetentionPolicy, strings.ToUpper(s.WALRetentionPolicy))
	}
	list, err := backups()
	if err != nil {
		return nil, err
	}
	if err := s.addBackups(r, list); err != nil {
		return nil, err
	}
	if s.Passive() {
		if err := s.addLag(r); err != nil {
			return nil, err
		}
		r.add("primary_ssh_command", "SSH command to primary server", "%s", s.PrimarySSHCommand)
	}
	return r, nil
}

// facts asks PostgreSQL for everything, its size included, in at most check_timeout.
func (s *server) facts(ctx context.Context) (*postgres.Facts, error) {
	if s.CheckTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.CheckTimeout)
		defer cancel()
	}
	conn, err := s.connect(ctx, s.ConnInfo)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.Facts(ctx, postgres.FactsOptions{Slot: s.SlotName, ClusterSize: true})
}

// addPostgres adds what PostgreSQL said; facts is nil when it did not answer.
func (r *serverStatus) addPostgres(facts *postgres.Facts) {
	if facts == nil {
		r.add("pg_version", "PostgreSQL version", "FAILED trying to get PostgreSQL version")
		return
	}
	r.add("pg_version", "PostgreSQL version", "%s", facts.Version)
	state := "in production"
	if facts.InRecovery {
		state = "in archive recovery"
	}
	r.add("is_in_recovery", "Cluster state", "%s", state)
	if facts.ClusterSize != nil {
		r.add("current_size", "Current data size", "%s", report.Size(*facts.ClusterSize))
	}
	if facts.DataDirectory != "" {
		r.add("data_directory", "PostgreSQL Data directory", "%s", facts.DataDirectory)
	}
	if facts.CurrentWAL != "" {
		r.add("current_xlog", "Current WAL segment", "%s", facts.CurrentWAL)
	}
}

func (r *serverStatus) addArchiver(facts *postgres.Facts) {
	if _, ok := facts.Setting("archive_mode"); !ok {
		return
	}
	command, _ := facts.Setting("archive_command")
	if command == "" || command == "(disabled)" {
		command = "FAILED (please set it accordingly to documentation)"
	}
	r.add("archive_command", "PostgreSQL 'archive_command' setting", "%s", command)
	a := facts.Archiver
	if a == nil {
		return
	}
	if a.LastArchivedWAL == "" {
		r.add("last_archived_wal", "Last archived WAL", "No WAL segment shipped yet")
	} else {
		r.add("last_archived_wal", "Last archived WAL", "%s, at %s", a.LastArchivedWAL, report.CTime(a.LastArchivedTime.Local()))
	}
	if a.LastFailedWAL == "" {
		r.add("failed_count", "Failures of WAL archiver", "%d", a.FailedCount)
	} else {
		r.add("failed_count", "Failures of WAL archiver", "%d (%s at %s)",
			a.FailedCount, a.LastFailedWAL, report.CTime(a.LastFailedTime.Local()))
	}
	if hourly := a.WALsPerSecond * 3600; hourly > 0 {
		r.add("server_archived_wals_per_hour", "Server WAL archiving rate", "%0.2f/hour", hourly)
	}
}

// addReceiver adds what the WAL receiver says about itself.
func (s *server) addReceiver(r *serverStatus) error {
	const code, label = "receive_wal", "WAL receiver"
	holder, _, err := s.holder(lock.ReceiveWAL)
	if err != nil {
		return err
	}
	pid := holder.PID
	beat, known, err := receive.ReadHeartbeat(s.layout.Streaming)
	switch {
	case err != nil:
		return err
	case pid == 0 && known && beat.Error != "":
		r.add(code, label, "not running: %s", beat.Error)
	case pid == 0:
		r.add(code, label, "not running")
	case beat.PID != pid:
		r.add(code, label, "process %d", pid)
	case beat.Problem(pid, now()) != "":
		r.add(code, label, "process %d: %s", pid, beat.Problem(pid, now()))
	default:
		r.add(code, label, "process %d, streaming since %s; received up to %s, durable up to %s, at %s",
			pid, report.CTime(beat.Since.Local()), beat.Received, beat.Flushed, report.CTime(beat.Time.Local()))
	}
	return nil
}

// addLag adds how far the copy is behind the primary node.
func (s *server) addLag(r *serverStatus) error {
	lag, err := s.lag()
	if err != nil {
		return err
	}
	r.add("primary_sync", "Last answer of the primary node", "%s", lag.Text(now()))
	return nil
}

func (s *server) addBackups(r *serverStatus, list *catalog.Backups) error {
	done := list.With(catalog.StatusDone)
	full := 0
	for _, b := range done {
		if !b.IsIncremental() {
			full++
		}
	}
	id := func(b *catalog.BackupInfo) string {
		if b == nil {
			return "None"
		}
		return b.ID
	}
	if err := s.addRunningBackup(r, list); err != nil {
		return err
	}
	r.add("backups_number", "No. of available backups", "%d", len(done))
	r.add("first_backup", "First available backup", "%s", id(list.First(catalog.Usable...)))
	r.add("last_backup", "Last available backup", "%s", id(list.Last(catalog.Usable...)))
	verdict := "satisfied"
	if full < s.MinimumRedundancy {
		verdict = "FAILED"
	}
	r.add("minimum_redundancy", "Minimum redundancy requirements", "%s (%d/%d)", verdict, full, s.MinimumRedundancy)
	return nil
}

// addRunningBackup adds a line while a backup is being taken.
func (s *server) addRunningBackup(r *serverStatus, list *catalog.Backups) error {
	b := list.Last(catalog.StatusEmpty, catalog.StatusStarted)
	if b == nil {
		return nil
	}
	holder, held, err := s.holder(lock.Backup)
	if err != nil || !held {
		return err // what is unfinished now was left by a process that died
	}
	doing := "waiting for PostgreSQL to begin"
	if b.Status == catalog.StatusStarted {
		doing = "copying since " + report.CTime(b.BeginTime.Local())
	}
	r.add("running_backup", "Backup in progress", "%s (%s), process %d, %s", b.ID, b.Mode, holder.PID, doing)
	return nil
}

func pythonBool(b bool) string {
	if b {
		return "True"
	}
	return "False"
}
