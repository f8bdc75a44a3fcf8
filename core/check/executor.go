package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/barman-go/barman/core/lock"
	"github.com/barman-go/barman/sdk/toolexec"
	"github.com/barman-go/barman/sdk/transfer"
)

// methodLabels are the rows that fail when the plugin of a backup method cannot be asked.
var methodLabels = map[string]string{"rsync": "ssh", "local-rsync": "rsync", "postgres": "pg_basebackup"}

func (c *Checker) methodLabel() string {
	if label, ok := methodLabels[c.Method]; ok {
		return label
	}
	return "backup method " + c.Method
}

// probeTransfer asks the transfer plugin. One that runs a client of PostgreSQL compares its version with the server's, so it has
// to wait for that; the others do not.
func (c *Checker) probeTransfer(ctx context.Context, sql *answer[*Facts]) ([]Row, error) {
	plugin, mode, err := c.OpenTransfer(ctx)
	if err != nil {
		return nil, err
	}
	request := c.Request
	if mode == transfer.SelfContained && sql != nil {
		if facts, err := sql.waitFor(ctx); err == nil {
			request.ServerVersion = facts.Version.Num
		}
	}
	found, err := plugin.Check(ctx, request)
	rows := make([]Row, 0, len(found))
	for _, row := range found {
		rows = append(rows, Row{Label: row.Label, OK: row.OK, Hint: row.Hint, OnlyFailure: row.OnlyFailure})
	}
	return rows, err
}

// probeLabel looks for a backup_label on a server whose PostgreSQL does not run. An exclusive backup that was interrupted leaves it
// there, and with it PostgreSQL may refuse to start.
func (c *Checker) probeLabel(ctx context.Context, p *probes) ([]Row, error) {
	rows, err := p.transfer.waitFor(ctx)
	reached := err == nil && !slices.ContainsFunc(rows, func(row Row) bool { return !row.OK })
	if len(c.Request.Remote) == 0 || !reached || p.sql == nil {
		return nil, err
	}
	if _, err := p.sql.waitFor(ctx); err == nil {
		return nil, nil
	}
	h, err := p.history.waitFor(ctx)
	if err != nil || h.last == nil || h.last.PGData == "" {
		return nil, err
	}
	plugin, _, err := c.OpenTransfer(ctx)
	if err != nil {
		return nil, err
	}
	found, err := plugin.Stat(ctx, c.Request.Remote, []string{filepath.Join(h.last.PGData, "backup_label")})
	if err != nil || len(found) != 1 || !found[0].Exists {
		return nil, err
	}
	return []Row{{
		Label: "backup_label", Hint: "Check that the PostgreSQL server is up and no 'backup_label' file is in PGDATA.",
	}}, nil
}

// executor adds the rows of what copies the data directory.
func (c *Checker) executor(r *rows, p *probes) {
	if c.Passive {
		rows, err := p.ssh.wait()
		if err != nil {
			r.failed("ssh", err)
		}
		r.addAll(rows)
		c.primarySync(r)
		return
	}
	if c.Method == "local-rsync" {
		c.localData(r, p)
	}
	if p.transfer != nil {
		rows, err := p.transfer.wait()
		r.addAll(rows)
		if err != nil {
			r.failed(c.methodLabel(), err)
		}
		// Without an answer about the file nobody knows more than PostgreSQL's own row says.
		if rows, err = p.label.wait(); err == nil {
			r.addAll(rows)
		}
	}
	if c.Exclusive && c.Method != "postgres" {
		c.exclusive(r, p)
	}
}

// primarySync adds the row of how old the copy of a passive server is.
func (c *Checker) primarySync(r *rows) {
	const label = "synchronisation with the primary"
	if c.PrimarySync == nil {
		return
	}
	text, problem, err := c.PrimarySync()
	switch {
	case err != nil:
		r.failed(label, err)
	case problem != "":
		r.fail(label, problem)
	default:
		r.ok(label, text)
	}
}

// localData adds the row of a data directory on this host.
func (c *Checker) localData(r *rows, p *probes) {
	const label = "local PGDATA"
	facts, ok := known(p.sql)
	switch {
	case !ok:
		r.fail(label, "the data directory is not known, because PostgreSQL cannot be reached")
	case facts.DataDirectory == "":
		r.fail(label, "the data directory is not known, because the role of conninfo may not read the setting data_directory")
	default:
		if err := readable(facts.DataDirectory); err != nil {
			r.fail(label, err.Error()+"; run barman as the owner of the data directory, on the host of PostgreSQL")
			return
		}
		r.ok(label, "Access to local PGDATA")
	}
}

// readable tries the directory and the file that only the owner of a cluster, and at most its group, can read.
func readable(data string) error {
	for _, path := range []string{data, filepath.Join(data, "global", "pg_control")} {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		_ = f.Close() // nothing was written
	}
	return nil
}

func (c *Checker) exclusive(r *rows, p *probes) {
	facts, ok := known(p.sql)
	if !ok {
		r.fail("exclusive backup supported", "unable to determine postgres version")
		return
	}
	r.test("not in recovery", !facts.InRecovery, "cannot perform exclusive backup on a standby")
	r.test("exclusive backup supported", facts.Version.Major() < 15,
		fmt.Sprintf("exclusive backups not supported on PostgreSQL %d", facts.Version.Major()))
	c.backupMode(r, facts)
}

// backupMode adds a row when PostgreSQL is in backup mode although nobody of this server is taking a backup: a process was killed,
// or somebody else has begun an exclusive backup. While it lasts, a crash may leave a server that does not start.
func (c *Checker) backupMode(r *rows, facts *Facts) {
	if facts.ExclusiveSince.IsZero() {
		return
	}
	name, err := lock.ForServer(lock.Backup, c.Server).File()
	if err != nil {
		return
	}
	if held, _, err := lock.Probe(filepath.Join(c.LockDir, name)); err != nil || held {
		return
	}
	r.fail(labelBackupMode, fmt.Sprintf("PostgreSQL is in backup mode since %s, and no backup of '%s' is running: 'barman backup %s' ends "+
		"what an interrupted backup has left; end anything else with SELECT pg_stop_backup()",
		facts.ExclusiveSince.Local().Format(time.DateTime), c.Server, c.Server))
}

// probeSSH asks whether the primary node of a passive server can be reached.
func (c *Checker) probeSSH(ctx context.Context) ([]Row, error) {
	if len(c.PrimarySSH) == 0 {
		return nil, errors.New("primary_ssh_command is not set")
	}
	remote := toolexec.Unattended(c.PrimarySSH)
	var out bytes.Buffer
	var said []string
	code, err := toolexec.Run(ctx, toolexec.Command{
		Name: remote[0], Args: append(remote[1:], "true"), PathPrefix: c.PathPrefix,
		Stdout: &out, OnStderr: func(line string) { said = append(said, line) },
	})
	switch {
	case ctx.Err() != nil, errors.Is(err, toolexec.ErrNotFound):
		return nil, err
	case err != nil:
		text := fmt.Sprintf("Connection failed using '%s' return code %d", strings.Join(remote, " "), code)
		if len(said) > 0 {
			text += ": " + said[len(said)-1]
		}
		return nil, errors.New(text)
	}
	return []Row{{Label: "ssh", OK: true, Hint: "Barman primary node"}, {
		Label: "ssh output clean", OK: out.Len() == 0 && len(said) == 0, OnlyFailure: true,
		Hint: "the configured ssh_command must not add anything to the remote command output",
	}}, nil
}
