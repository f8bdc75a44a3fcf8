package lab

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// ClusterOptions describe a cluster. The zero value is a usable primary.
type ClusterOptions struct {
	// Version is the major version; 0 is that of the operating system.
	Version int
	// Dir is an empty directory for everything that belongs to the cluster; empty means a new scratch directory.
	Dir string
	// Settings go to postgresql.conf, and win over the lab's own. Values are written without quotes.
	Settings map[string]string
	// ArchiveCommand is archive_command; empty means /bin/true, so that pg_backup_stop does not wait for ever.
	ArchiveCommand string
	// WALSegmentSizeMB is initdb's --wal-segsize; 0 means 16.
	WALSegmentSizeMB int
	// DataChecksums is initdb's --data-checksums.
	DataChecksums bool
	// HBA are lines of pg_hba.conf before those that trust everybody.
	HBA []string
}

// Cluster is one PostgreSQL instance with its own directories, port and processes. Methods are for one goroutine at a time.
type Cluster struct {
	Installation
	// Owner is the system user of the cluster; "postgres" is the database superuser in any case.
	Owner User
	// Dir holds all the rest; Data is PGDATA, SocketDir the directory of the Unix socket, LogFile the server's log.
	Dir, Data, SocketDir, LogFile string
	Port                          int

	server *exec.Cmd
	exited chan struct{}
	// overrides are settings for the server's command line, where the data directory has the configuration of another.
	overrides map[string]string
}

// StartCluster makes a cluster and starts it. Everything is gone when the test ends.
func StartCluster(t testing.TB, o ClusterOptions) *Cluster {
	t.Helper()
	if o.Version != 0 {
		NeedPostgres(t, o.Version)
	}
	if o.Dir == "" {
		o.Dir = ScratchDir(t)
	}
	c, err := NewCluster(t.Context(), o)
	return c.hand(t, err)
}

// hand gives a cluster to a test.
func (c *Cluster) hand(t testing.TB, err error) *Cluster {
	t.Helper()
	if c != nil {
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("end of the log of the server in %s:\n%s", c.Data, c.LogTail(30))
			}
			if err := c.Destroy(); err != nil {
				t.Errorf("destroy the cluster: %v", err)
			}
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// NewCluster is StartCluster for programs. When it returns a cluster, even with an error, call Destroy.
func NewCluster(ctx context.Context, o ClusterOptions) (*Cluster, error) {
	c, err := newCluster(o)
	if err != nil {
		return nil, err
	}
	if err := c.fill(ctx, o); err != nil {
		return c, err
	}
	if err := c.configure(o); err != nil {
		return c, err
	}
	return c, c.Start(ctx)
}

// OpenCluster starts a server on an existing data directory, for instance a restored one, on a port and a socket directory
// of its own; the data directory's files are not changed by the lab. It waits until the server accepts connections.
func OpenCluster(t testing.TB, data string, o ClusterOptions) *Cluster {
	t.Helper()
	if o.Dir == "" {
		o.Dir = ScratchDir(t)
	}
	c, err := NewClusterOn(t.Context(), data, o)
	return c.hand(t, err)
}

// NewClusterOn is OpenCluster for programs. Only Version, Dir and Settings of the options are used; the settings go to the
// server's command line. Destroy does not remove data.
func NewClusterOn(ctx context.Context, data string, o ClusterOptions) (*Cluster, error) {
	if o.Version == 0 {
		text, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
		if err != nil {
			return nil, fmt.Errorf("%s is not a data directory: %w", data, err)
		}
		if _, err := fmt.Sscan(string(text), &o.Version); err != nil {
			return nil, fmt.Errorf("%s/PG_VERSION: %w", data, err)
		}
	}
	c, err := newCluster(o)
	if err != nil {
		return nil, err
	}
	c.Data = data
	c.overrides = map[string]string{"listen_addresses": "127.0.0.1", "unix_socket_directories": c.SocketDir, "logging_collector": "off"}
	maps.Copy(c.overrides, o.Settings)
	return c, c.Start(ctx)
}

func newCluster(o ClusterOptions) (*Cluster, error) {
	installation, err := FindPostgres(o.Version)
	if err != nil {
		return nil, err
	}
	owner, err := PostgresUser()
	if err != nil {
		return nil, err
	}
	if o.Dir == "" {
		if o.Dir, err = NewScratchDir(); err != nil {
			return nil, err
		}
	}
	c := &Cluster{
		Installation: installation, Owner: owner, Dir: o.Dir,
		Data: filepath.Join(o.Dir, "data"), SocketDir: filepath.Join(o.Dir, "s"), LogFile: filepath.Join(o.Dir, "postgres.log"),
	}
	for _, dir := range []string{c.Dir, c.SocketDir, c.home()} {
		if err := makeDir(dir, 0o755, owner); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// home is HOME for the cluster's processes, so that no ~/.pgpass or ~/.barman.hcl of this machine plays a part.
func (c *Cluster) home() string { return filepath.Join(c.Dir, "home") }

// Tool prepares a program of the installation's bin directory, run as the owner.
func (c *Cluster) Tool(ctx context.Context, name string, args ...string) *exec.Cmd {
	return c.Owner.Command(ctx, c.home(), append([]string{filepath.Join(c.Bin, name)}, args...)...)
}

func (c *Cluster) initdb(ctx context.Context, data string, o ClusterOptions) error {
	args := []string{
		"--pgdata=" + data, "--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C",
	}
	if o.WALSegmentSizeMB != 0 {
		args = append(args, fmt.Sprintf("--wal-segsize=%d", o.WALSegmentSizeMB))
	}
	switch {
	case o.DataChecksums:
		args = append(args, "--data-checksums")
	case c.Major >= 18: // where they are the default
		args = append(args, "--no-data-checksums")
	}
	_, err := mustRun(c.Tool(ctx, "initdb", args...))
	return err
}

// configure writes postgresql.conf and pg_hba.conf.
func (c *Cluster) configure(o ClusterOptions) error {
	command := o.ArchiveCommand
	if command == "" {
		command = "/bin/true"
	}
	settings := map[string]string{
		"listen_addresses":        "'127.0.0.1'",
		"unix_socket_directories": quoteSetting(c.SocketDir),
		"wal_level":               "replica",
		"archive_mode":            "on",
		"archive_command":         quoteSetting(command),
		"max_wal_senders":         "10",
		"max_replication_slots":   "10",
		"hot_standby":             "on",
		"shared_buffers":          "32MB",
		"log_line_prefix":         "'%m [%p] '",
		"log_checkpoints":         "off",
		// The machine does not crash in these tests; processes do, and that does not lose what was written.
		"fsync": "off",
	}
	maps.Copy(settings, o.Settings)
	var conf strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&conf, "%s = %s\n", name, settings[name])
	}
	hba := append(slices.Clone(o.HBA),
		"local all all trust", "local replication all trust",
		"host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust")
	return errors.Join(
		appendFile(filepath.Join(c.Data, "postgresql.conf"), "\n# the lab's settings\n"+conf.String()),
		os.WriteFile(filepath.Join(c.Data, "pg_hba.conf"), []byte(strings.Join(hba, "\n")+"\n"), 0o600),
	)
}

// quoteSetting writes a string value for postgresql.conf.
func quoteSetting(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func appendFile(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// Set changes settings with ALTER SYSTEM and reloads. Values are quoted here.
func (c *Cluster) Set(ctx context.Context, settings map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if _, err := c.SQL(ctx, "ALTER SYSTEM SET "+name+" = "+quoteSetting(settings[name])); err != nil {
			return err
		}
	}
	_, err := c.SQL(ctx, "SELECT pg_reload_conf()")
	return err
}

// CreateTablespace makes a tablespace in a directory outside the data directory and returns that directory.
func (c *Cluster) CreateTablespace(ctx context.Context, name string) (string, error) {
	location := filepath.Join(c.Dir, "tablespaces", name)
	for _, dir := range []string{filepath.Dir(location), location} {
		if err := makeDir(dir, 0o700, c.Owner); err != nil {
			return "", err
		}
	}
	_, err := c.SQL(ctx, fmt.Sprintf("CREATE TABLESPACE %s LOCATION %s", name, quoteSetting(location)))
	return location, err
}

// Destroy kills the server and removes everything under Dir.
func (c *Cluster) Destroy() error {
	c.Kill9()
	return removeAll(c.Dir)
}

// removeAll removes a tree in which dying processes may still create files.
func removeAll(dir string) error {
	var err error
	for range 20 {
		if err = os.RemoveAll(dir); err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return err
}
