package recovery

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/barman-go/barman/core/archive"
	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/pluginhost"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/sdk/progress"
	"github.com/barman-go/barman/test/lab"
)

// plugins are the plugins that restores use, built once.
var plugins struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if plugins.dir != "" {
		_ = os.RemoveAll(plugins.dir)
	}
	os.Exit(code)
}

func pluginDir(t testing.TB) string {
	t.Helper()
	plugins.once.Do(func() {
		if plugins.dir, plugins.err = os.MkdirTemp("", "recovery-plugins-"); plugins.err != nil {
			return
		}
		plugins.err = lab.AddPlugins(context.Background(), plugins.dir, "transfer/local-rsync", "transfer/rsync", "compress/gzip")
	})
	if plugins.err != nil {
		t.Fatal(plugins.err)
	}
	return plugins.dir
}

// messages keeps what a restore says.
type messages struct {
	mu                     sync.Mutex
	infos, warnings, fails []string
}

func (m *messages) add(to *[]string, format string, args []any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	*to = append(*to, fmt.Sprintf(format, args...))
}

func (m *messages) Info(format string, args ...any)    { m.add(&m.infos, format, args) }
func (m *messages) Warning(format string, args ...any) { m.add(&m.warnings, format, args) }
func (m *messages) Error(format string, args ...any)   { m.add(&m.fails, format, args) }

// hooks count their calls.
type hooks struct {
	pre, post int
	event     HookEvent
	refuse    error
}

func (h *hooks) Pre(_ context.Context, ev HookEvent) error {
	h.pre++
	h.event = ev
	return h.refuse
}
func (h *hooks) Post(context.Context, HookEvent) { h.post++ }

// newRestorer is a Restorer with real plugins.
func newRestorer(t testing.TB, layout catalog.Layout) (*Restorer, *messages, *hooks) {
	t.Helper()
	host := pluginhost.New(pluginhost.Options{BundledDir: pluginDir(t), SearchPath: []string{}})
	t.Cleanup(func() {
		if err := host.Close(); err != nil {
			t.Error(err)
		}
	})
	use := pluginhost.Use{Server: layout.Server}
	out, h := &messages{}, &hooks{}
	return &Restorer{
		Server: layout.Server, Catalog: catalog.New(layout), LockDir: t.TempDir(),
		WAL: &archive.Codecs{
			Open: func(ctx context.Context, name string) (archive.Compressor, error) {
				return host.Compressor(ctx, name, use)
			},
			Magics: []archive.Magic{{Format: "gzip", Bytes: []byte{0x1f, 0x8b, 0x08}}},
		},
		OpenCopier: func(ctx context.Context, remote bool) (Copier, error) {
			name := "local-rsync"
			if remote {
				name = "rsync"
			}
			return host.Transfer(ctx, name, use)
		},
		Hooks: h, Client: WALClient{User: "barman", Host: "backup.example"}, TempDir: t.TempDir(), Out: out,
		Progress: progress.Discard, Log: hclog.NewNullLogger(), Now: time.Now, Zone: time.UTC,
	}, out, h
}

// site is a server with a backup of it and its WAL archive.
type site struct {
	cluster *lab.Cluster
	layout  catalog.Layout
	oid     string
}

const serverName = "main"

// newSite starts a server that archives into a catalog.
func newSite(t *testing.T, o lab.ClusterOptions) *site {
	t.Helper()
	home := lab.ScratchDir(t)
	s := &site{layout: catalog.DefaultLayout(home, serverName)}
	for _, dir := range append(s.layout.Directories(), s.layout.Meta()) {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	o.ArchiveCommand = fmt.Sprintf("d=%s; case %%f in *.history) ;; *) d=$d/$(echo %%f | cut -c1-16); mkdir -p -m 777 $d;; esac; cp %%p $d/%%f.tmp && mv $d/%%f.tmp $d/%%f",
		s.layout.WALs)
	s.cluster = lab.StartCluster(t, o)
	if _, err := s.cluster.CreateTablespace(t.Context(), "hot"); err != nil {
		t.Fatal(err)
	}
	s.oid = s.cluster.MustSQL(t, "SELECT oid FROM pg_tablespace WHERE spcname = 'hot'")
	return s
}

// backup takes a backup into the catalog in one of the two layouts: as pg_basebackup leaves it, or as rsync does.
func (s *site) backup(t *testing.T, id string, rsync bool) *catalog.BackupInfo {
	t.Helper()
	location := s.cluster.MustSQL(t, "SELECT pg_tablespace_location("+s.oid+")")
	dir := s.layout.BackupPath(id)
	began := time.Now()
	cmd := s.cluster.Tool(t.Context(), "pg_basebackup", "-D", filepath.Join(dir, "data"), "-X", "none", "-c", "fast",
		"-T", location+"="+filepath.Join(dir, s.oid), "-d", s.cluster.Conninfo("", ""))
	if res, err := lab.Run(cmd); err != nil || res.Exit != 0 {
		t.Fatalf("pg_basebackup: %v\n%s", err, res.Stderr)
	}
	info := s.describe(t, id, location, began)
	if rsync {
		info.Mode = catalog.ModeRsyncConcurrent
		if err := os.Remove(filepath.Join(dir, "data", "pg_tblspc", s.oid)); err != nil {
			t.Fatal(err)
		}
		// What pg_backup_stop returned is stored with the data; PostgreSQL must not follow it.
		if err := os.WriteFile(filepath.Join(dir, "data", "tablespace_map"), []byte(s.oid+" /nowhere\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(dir, "data", "backup_manifest")); err != nil {
			t.Fatal(err)
		}
	}
	if err := catalog.New(s.layout).Save(info); err != nil {
		t.Fatal(err)
	}
	return info
}

func (s *site) describe(t *testing.T, id, location string, began time.Time) *catalog.BackupInfo {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(s.layout.DataPath(id), "backup_manifest"))
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		Ranges []struct {
			Timeline int    `json:"Timeline"`
			Start    string `json:"Start-LSN"`
			End      string `json:"End-LSN"`
		} `json:"WAL-Ranges"`
	}
	if err := json.Unmarshal(content, &manifest); err != nil || len(manifest.Ranges) != 1 {
		t.Fatalf("backup_manifest: %v, %d ranges", err, len(manifest.Ranges))
	}
	r := manifest.Ranges[0]
	info := catalog.NewBackupInfo(id, serverName, catalog.ModePostgres)
	info.Timeline = wal.TimelineID(r.Timeline)
	if info.BeginLSN, err = wal.ParseLSN(r.Start); err != nil {
		t.Fatal(err)
	}
	if info.EndLSN, err = wal.ParseLSN(r.End); err != nil {
		t.Fatal(err)
	}
	var size int64
	if _, err := fmt.Sscan(s.cluster.MustSQL(t, "SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'"), &size); err != nil {
		t.Fatal(err)
	}
	info.SegmentSize = wal.SegmentSize(size)
	info.BeginWAL = wal.SegmentForLSN(info.Timeline, info.BeginLSN, info.SegmentSize)
	info.EndWAL = wal.SegmentEndingAt(info.Timeline, info.EndLSN, info.SegmentSize)
	info.BeginTime, info.EndTime = began.UTC(), time.Now().UTC()
	info.PGData = s.cluster.Data
	info.Status = catalog.StatusDone
	info.SystemID = s.cluster.MustSQL(t, "SELECT system_identifier FROM pg_control_system()")
	if _, err := fmt.Sscan(s.cluster.MustSQL(t, "SHOW server_version_num"), &info.Version); err != nil {
		t.Fatal(err)
	}
	var oid uint32
	if _, err := fmt.Sscan(s.oid, &oid); err != nil {
		t.Fatal(err)
	}
	info.Tablespaces = []catalog.Tablespace{{Name: "hot", OID: oid, Location: location}}
	return info
}

// archiveAll ends the current segment and waits until it is archived.
func (s *site) archiveAll(t *testing.T) {
	t.Helper()
	name := s.cluster.MustSQL(t, "SELECT pg_walfile_name(pg_current_wal_lsn())")
	s.cluster.MustSQL(t, "SELECT pg_switch_wal()")
	if err := s.cluster.WaitSQL(t.Context(), "SELECT last_archived_wal >= '"+name+"' FROM pg_stat_archiver", "t"); err != nil {
		t.Fatal(err)
	}
}

// compressWAL gzips every second archived segment, as when compression was switched on or off at some time.
func (s *site) compressWAL(t *testing.T) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.layout.WALs, "*", strings.Repeat("?", 24)))
	if err != nil || len(files) < 2 {
		t.Fatalf("%d archived segments, %v", len(files), err)
	}
	for i, file := range files {
		if i%2 == 0 {
			continue
		}
		if out, err := exec.Command("sh", "-c", `gzip -1 -c "$1" > "$1.tmp" && mv "$1.tmp" "$1"`, "sh", file).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
}

// give makes trees the property of the user who runs PostgreSQL.
func give(t testing.TB, dirs ...string) {
	t.Helper()
	u, err := lab.PostgresUser()
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		if err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(path, u.UID, u.GID)
		}); err != nil {
			t.Fatal(err)
		}
	}
}
