package lab

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"
)

// StartStandby makes a streaming standby of a running cluster and starts it.
func (c *Cluster) StartStandby(t testing.TB, o ClusterOptions) *Cluster {
	t.Helper()
	if o.Dir == "" {
		o.Dir = ScratchDir(t)
	}
	standby, err := c.NewStandby(t.Context(), o)
	return standby.hand(t, err)
}

// NewStandby is StartStandby for programs. Of the options Dir and Settings are used; settings go to the command line.
func (c *Cluster) NewStandby(ctx context.Context, o ClusterOptions) (*Cluster, error) {
	o.Version = c.Major
	standby, err := newCluster(o)
	if err != nil {
		return nil, err
	}
	args := []string{
		"--pgdata=" + standby.Data, "--dbname=" + c.Conninfo("", ""), "--write-recovery-conf", "--wal-method=stream",
		"--checkpoint=fast", "--no-sync", "--no-password",
	}
	locations, err := c.SQL(ctx, "SELECT spcname, pg_tablespace_location(oid) FROM pg_tablespace WHERE pg_tablespace_location(oid) <> ''")
	if err != nil {
		return standby, err
	}
	for line := range strings.Lines(locations) {
		name, location, _ := strings.Cut(strings.TrimSpace(line), "|")
		own := filepath.Join(standby.Dir, "tablespaces", name)
		if err := makeDir(filepath.Dir(own), 0o700, c.Owner); err != nil {
			return standby, err
		}
		args = append(args, fmt.Sprintf("--tablespace-mapping=%s=%s", location, own))
	}
	if _, err := mustRun(c.Tool(ctx, "pg_basebackup", args...)); err != nil {
		return standby, err
	}
	standby.overrides = map[string]string{"unix_socket_directories": standby.SocketDir}
	maps.Copy(standby.overrides, o.Settings)
	return standby, standby.Start(ctx)
}

// WaitCaughtUp waits until the standby has replayed everything that its primary has written so far.
func (c *Cluster) WaitCaughtUp(ctx context.Context, primary *Cluster) error {
	lsn, err := primary.SQL(ctx, "SELECT pg_current_wal_lsn()")
	if err != nil {
		return err
	}
	return c.WaitSQL(ctx, fmt.Sprintf("SELECT pg_last_wal_replay_lsn() >= '%s'", lsn), "t")
}
