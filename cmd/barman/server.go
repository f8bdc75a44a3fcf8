package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"

	"github.com/google/shlex"

	"github.com/barman-go/barman/core/archive"
	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/config"
	"github.com/barman-go/barman/core/lock"
	"github.com/barman-go/barman/core/maintenance"
	"github.com/barman-go/barman/core/pluginhost"
	"github.com/barman-go/barman/core/postgres"
	"github.com/barman-go/barman/core/retention"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/sdk/progress"
	"github.com/barman-go/barman/sdk/schema"
	"github.com/barman-go/barman/sdk/transfer"
)

// server is one configured server with the parts of core that work for it, made when they are first asked for.
type server struct {
	*app
	*config.Server
	layout    catalog.Layout
	catalog   *catalog.Catalog
	walCodecs *archive.Codecs
	walIndex  *catalog.WALIndex
}

func (a *app) server(c *config.Server) *server {
	s := &server{app: a, Server: c, layout: layoutOf(c)}
	s.catalog = catalog.New(s.layout)
	return s
}

func layoutOf(c *config.Server) catalog.Layout {
	return catalog.Layout{
		Server: c.Name, Backup: c.BackupDirectory, Base: c.BasebackupsDirectory, WALs: c.WALsDirectory,
		Incoming: c.IncomingWALsDirectory, Streaming: c.StreamingWALsDirectory, Errors: c.ErrorsDirectory,
		XlogDB: c.XlogDBDirectory,
	}
}

// index is the server's WAL index.
func (s *server) index() *catalog.WALIndex {
	if s.walIndex == nil {
		identify := func(head []byte) string {
			format, err := s.codecs().StoredFormat(context.Background(), head)
			if err != nil {
				s.log.Warn("cannot recognise the format of a WAL file", "server", s.Name, "error", err)
			}
			return format
		}
		s.walIndex = catalog.NewWALIndex(s.layout, func(ctx context.Context) (func() error, error) {
			l, err := s.lock(ctx, lock.ForServer(lock.XLogDB, s.Name))
			if err != nil {
				return nil, err
			}
			return l.Release, nil
		}, identify)
	}
	return s.walIndex
}

// lock takes a lock; the directory is made when it is missing, as in a fresh /run.
func (s *server) lock(ctx context.Context, name lock.Name) (*lock.Lock, error) {
	l, err := lock.Acquire(ctx, s.LockDirectory, name, name.Waits())
	if errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(s.LockDirectory, 0o755); err != nil {
			return nil, err
		}
		l, err = lock.Acquire(ctx, s.LockDirectory, name, name.Waits())
	}
	return l, err
}

// use says which plugin serves this server, and with which options.
func (s *server) use(pluginType, name string, extra schema.Values) pluginhost.Use {
	block := s.cfg.Plugin(s.Server, pluginType, name)
	use := pluginhost.Use{Server: s.Name, PathPrefix: s.PathPrefix}
	if block != nil {
		use.Path, use.SHA256 = block.Path, block.SHA256
	}
	use.Decode = decodeBlock(block, extra)
	return use
}

// decodeBlock reads a plugin's block against the plugin's own schema; extra are values that come from options of Barman.
func decodeBlock(block *config.PluginBlock, extra schema.Values) func(schema.Schema) (schema.Values, error) {
	return func(options schema.Schema) (schema.Values, error) {
		for i := range options {
			// An attribute that Barman's own options provide need not stand in the block.
			if _, ok := extra[options[i].Name]; ok {
				options[i].Required = false
			}
		}
		values, found := config.DecodePlugin(block, options)
		if found.HasErrors() {
			return nil, errors.New(renderDiagnostics(found, false))
		}
		if values == nil {
			values = schema.Values{}
		}
		for k, v := range extra {
			values[k] = v
		}
		return values, nil
	}
}

// codecs chooses compress plugins for the server's WAL.
func (s *server) codecs() *archive.Codecs {
	if s.walCodecs == nil {
		s.walCodecs = &archive.Codecs{
			Compression: s.Compression, Level: s.CompressionLevel.String(),
			Open: func(ctx context.Context, name string) (archive.Compressor, error) {
				return s.plugins().Compressor(ctx, name, s.use("compress", name, s.customFilters(name)))
			},
			Installed: func() []string { return s.plugins().Installed("compress", pluginhost.Use{PathPrefix: s.PathPrefix}) },
		}
		if magic := s.Magic(); len(magic) > 0 {
			s.walCodecs.Magics = []archive.Magic{{Format: "custom", Bytes: magic}}
		}
		if s.CustomDecompressionFilter != "" {
			s.walCodecs.LastResort = "custom"
		}
	}
	return s.walCodecs
}

// customFilters are the options of the server that the plugin "custom" takes.
func (s *server) customFilters(plugin string) schema.Values {
	if plugin != "custom" {
		return nil
	}
	values := schema.Values{}
	for name, value := range map[string]string{
		"compression_filter": s.CustomCompressionFilter, "decompression_filter": s.CustomDecompressionFilter,
		"magic": s.CustomCompressionMagic,
	} {
		if value != "" {
			values[name] = value
		}
	}
	return values
}

// expect is what is known of the server's WAL: the identity of the cluster, once a backup was taken.
func (s *server) expect() (wal.Expect, error) {
	identity, found, err := s.catalog.Identity()
	if err != nil || !found {
		return wal.Expect{}, err
	}
	id, err := wal.ParseSystemID(identity.SystemID)
	if err != nil {
		return wal.Expect{}, fmt.Errorf("%s: %w", s.layout.IdentityPath(), err)
	}
	version, err := strconv.Atoi(identity.Version)
	if err != nil {
		version = 0 // 9.6 and such: not checked
	}
	return wal.Expect{SystemID: id, Version: version}, nil
}

// archiveWAL files what waits, once, under the archive-wal lock. lock.ErrBusy comes back as it is.
func (s *server) archiveWAL(ctx context.Context, verbose bool, rep progress.Reporter) error {
	if s.Passive() {
		return nil
	}
	l, err := s.lock(ctx, lock.ForServer(lock.ArchiveWAL, s.Name))
	if err != nil {
		return err
	}
	defer l.Release() //nolint:errcheck // the lock ends with the process at the latest
	expect, err := s.expect()
	if err != nil {
		return err
	}
	hooks, err := s.hooks()
	if err != nil {
		return err
	}
	a := &archive.Archiver{
		Server: s.Name, WALs: s.layout.WALs, Errors: s.layout.Errors, Expect: expect, Codecs: s.codecs(), Index: s.index(),
		Hooks: hooks.archive(), Workers: runtime.NumCPU(), Verbose: verbose, Now: now, Out: s.out, Progress: rep, Log: s.log,
	}
	// A problem with one source is no reason to leave the other one waiting.
	var errs []error
	if s.StreamingArchiver {
		src := archive.Source{Name: archive.Streaming, Dir: s.layout.Streaming, Batch: s.StreamingArchiverBatchSize, Streaming: true}
		_, err := a.Run(ctx, src)
		errs = append(errs, err)
	}
	if s.Archiver {
		src := archive.Source{Name: archive.FileArchival, Dir: s.layout.Incoming, Batch: s.ArchiverBatchSize}
		_, err := a.Run(ctx, src)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// keeper maintains the server's catalog.
func (s *server) keeper() (*maintenance.Keeper, error) {
	policy, err := retention.ParsePolicy(s.RetentionPolicy)
	if err != nil {
		return nil, err
	}
	hooks, err := s.hooks()
	if err != nil {
		return nil, err
	}
	return &maintenance.Keeper{
		Server: s.Name, Catalog: s.catalog, Index: s.index(), LockDir: s.LockDirectory, Policy: policy,
		MinimumRedundancy: s.MinimumRedundancy, Hooks: hooks.deletes(), Out: s.out, Log: s.log, Now: now,
		Clock: maintenance.ReadClock,
	}, nil
}

// getter hands out the server's WAL.
func (s *server) getter() *archive.Getter {
	return &archive.Getter{
		Server: s.Name, WALs: s.layout.WALs, Incoming: s.layout.Incoming, Streaming: s.layout.Streaming, Codecs: s.codecs(),
	}
}

// conninfo parses one of the server's connection strings.
func (s *server) conninfo(text string) (postgres.Conninfo, error) {
	info, err := postgres.ParseConninfo(text)
	if err != nil {
		return info, fmt.Errorf("PostgreSQL connection of server '%s': %w", s.Name, err)
	}
	return info, nil
}

// connect opens a session by one of the server's connection strings; the caller closes it.
func (s *server) connect(ctx context.Context, text string) (*postgres.Conn, error) {
	info, err := s.conninfo(text)
	if err != nil {
		return nil, err
	}
	return postgres.Connect(ctx, info, "barman")
}

// sshCommand is ssh_command as program and arguments.
func (s *server) sshCommand() ([]string, error) {
	words, err := shlex.Split(s.SSHCommand)
	if err != nil {
		return nil, fmt.Errorf("ssh_command of server '%s': %w", s.Name, err)
	}
	return words, nil
}

// selection says what a command does with servers that are not in normal operation.
type selection struct {
	// inactive and disabled servers.
	inactive, disabled treatment
	// passive servers.
	passive treatment
}

type treatment int

const (
	allow treatment = iota
	skip
	refuse
)

// Which servers commands work on. Barman manual, chapter "Commands".
var (
	showAll      = selection{}
	onlyEnabled  = selection{disabled: refuse}
	normal       = selection{inactive: skip, disabled: refuse}
	normalDirect = selection{inactive: skip, disabled: refuse, passive: skip}
	accepting    = selection{inactive: refuse, disabled: refuse}
)

// servers returns the named servers, in order of name. Those that cannot be used are reported; the others are returned.
func (a *app) servers(names []string, sel selection) ([]*server, error) {
	if len(a.cfg.Errors) > 0 {
		for _, text := range a.cfg.Errors {
			a.out.Error("%s", text)
		}
		return nil, errReported
	}
	if slices.Contains(names, "all") {
		if len(names) > 1 {
			a.out.Error("You cannot use 'all' with other server names")
		}
		names = a.cfg.ServerNames()
	}
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	var found []*server
	for _, name := range names {
		c, ok := a.cfg.Server(name)
		if !ok {
			a.out.Error("Unknown server '%s'", name)
			continue
		}
		a.warn(name)
		if s := a.server(c); a.admit(s, sel) {
			found = append(found, s)
		}
	}
	return found, nil
}

func (a *app) admit(s *server, sel selection) bool {
	switch {
	case s.Disabled && sel.disabled == skip:
		a.out.Info("Skipping temporarily disabled server '%s'", s.Name)
	case s.Disabled && sel.disabled == refuse:
		text := "server '" + s.Name + "' is disabled"
		if len(s.Messages) > 0 {
			text = s.Messages[0]
		}
		a.out.Error("%s", text)
	case !s.Active && sel.inactive == skip:
		a.out.Info("Skipping inactive server '%s'", s.Name)
	case !s.Active && sel.inactive == refuse:
		a.out.Error("Inactive server: %s", s.Name)
	case s.Passive() && sel.passive == skip:
		a.out.Info("Skipping passive server '%s'", s.Name)
	default:
		return true
	}
	return false
}

// oneServer is servers for commands that work on a single one. It returns nil when the server was skipped.
func (a *app) oneServer(name string, sel selection) (*server, error) {
	if name == "all" {
		a.out.Error("You cannot use 'all' in a single server context")
		return nil, errReported
	}
	found, err := a.servers([]string{name}, sel)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}

// backup finds the backup that the user means.
func (s *server) backup(text string) (*catalog.BackupInfo, *catalog.Backups, error) {
	list, err := s.catalog.List()
	if err != nil {
		return nil, nil, err
	}
	b, err := list.Resolve(text)
	return b, list, err
}

// transferPlugin opens the transfer plugin of a backup method.
func (s *server) transferPlugin(ctx context.Context, method string) (*transfer.Client, transfer.Description, error) {
	client, err := s.plugins().Transfer(ctx, method, s.use("transfer", method, nil))
	if err != nil {
		return nil, transfer.Description{}, err
	}
	description, err := client.Describe(ctx)
	return client, description, err
}

// executable is the path of this program.
func executable() string {
	path, err := os.Executable()
	if err != nil {
		return "barman"
	}
	return filepath.Clean(path)
}

// programForOthers is how a restore_command calls this program: by its name where PATH finds it, otherwise by its path.
func programForOthers() string {
	path := executable()
	if found, err := exec.LookPath("barman"); err == nil {
		a, errA := os.Stat(found)
		b, errB := os.Stat(path)
		if errA == nil && errB == nil && os.SameFile(a, b) {
			return ""
		}
	}
	return path
}

// sshHost is where put-wal and get-wal were called from, for their messages.
func sshHost() string {
	connection := os.Getenv("SSH_CONNECTION")
	for i, r := range connection {
		if r == ' ' {
			return connection[:i]
		}
	}
	return connection
}
