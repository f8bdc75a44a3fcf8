package basebackup

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/plugin"
	"github.com/barman-go/barman/sdk/progress"
	"github.com/barman-go/barman/sdk/transfer"
	"github.com/barman-go/barman/test/lab"
)

// recorder is a transfer.BackupReporter.
type recorder struct {
	mu      sync.Mutex
	last    progress.Progress
	waiting func()
}

func (r *recorder) Progress(p progress.Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = p
}

func (r *recorder) WaitingForWAL() {
	if r.waiting != nil {
		r.waiting()
	}
}

// request asks for a backup of a scratch cluster.
func request(t *testing.T, c *lab.Cluster) transfer.TakeBackupRequest {
	t.Helper()
	base := t.TempDir()
	return transfer.TakeBackupRequest{
		Destination: filepath.Join(base, "data"), Conninfo: c.Conninfo("postgres", "replication"),
		ServerVersion: 150000, ImmediateCheckpoint: true,
	}
}

func executor(c *lab.Cluster) *Executor {
	return New(plugin.Env{PathPrefix: []string{c.Bin}})
}

func TestPlainBackupWithTablespaceStarts(t *testing.T) {
	c := lab.StartCluster(t, lab.ClusterOptions{
		HBA: []string{"host replication guarded 127.0.0.1/32 scram-sha-256"},
	})
	location, err := c.CreateTablespace(t.Context(), "hot")
	if err != nil {
		t.Fatal(err)
	}
	c.MustSQL(t, "CREATE TABLE t TABLESPACE hot AS SELECT generate_series(1, 1000) AS i")
	c.MustSQL(t, "CREATE ROLE guarded LOGIN REPLICATION PASSWORD 'se=cret'")
	req := request(t, c)
	req.Conninfo, req.Password = c.Conninfo("guarded", "replication"), "se=cret"
	req.Tablespaces = []transfer.Tablespace{{OID: 1, Location: location, Destination: filepath.Dir(req.Destination) + "/ts=1"}}
	rep := &recorder{}
	result, err := executor(c).TakeBackup(t.Context(), req, rep)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(result.BackupLabel, "START WAL LOCATION: ") || !strings.Contains(result.EndLSN, "/") || result.Copy <= 0 {
		t.Errorf("result %+v", result)
	}
	if rep.last.BytesTotal == 0 || rep.last.BytesDone == 0 {
		t.Errorf("progress %+v", rep.last)
	}
	for _, path := range []string{req.Destination + "/PG_VERSION", req.Tablespaces[0].Destination} {
		if entries, err := os.Stat(path); err != nil {
			t.Errorf("%s: %v, %v", path, entries, err)
		}
	}
	if found, _ := filepath.Glob(req.Tablespaces[0].Destination + "/PG_15_*/*/*"); len(found) == 0 {
		t.Error("the tablespace is empty")
	}
	if wals, _ := filepath.Glob(req.Destination + "/pg_wal/0*"); len(wals) > 0 {
		t.Errorf("WAL is in the backup: %q", wals)
	}

	req.Destination, req.Tablespaces[0].Destination, req.Password = filepath.Dir(req.Destination)+"/other", filepath.Dir(req.Destination)+"/2", "wrong"
	_, err = executor(c).TakeBackup(t.Context(), req, rep)
	if d := diag.FromError(err); d.Code != diag.CodeConnectionFailed || strings.Contains(err.Error(), "wrong") {
		t.Errorf("wrong password: %v", err)
	}
}

func TestTarBackupsGiveTheirLabel(t *testing.T) {
	c := lab.StartCluster(t, lab.ClusterOptions{})
	for _, compression := range []transfer.Compression{
		{Algorithm: "none"},
		{Algorithm: "gzip"},
		{Algorithm: "lz4", Location: "server"},
		{Algorithm: "zstd", Level: n(1), Location: "client"},
		{Algorithm: "zstd", Format: "plain", Location: "server"},
	} {
		t.Run(compression.Algorithm+" "+compression.Format, func(t *testing.T) {
			req := request(t, c)
			req.Compression = &compression
			result, err := executor(c).TakeBackup(t.Context(), req, &recorder{})
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(result.BackupLabel, "START WAL LOCATION: ") {
				t.Errorf("label %q", result.BackupLabel)
			}
		})
	}
}

func TestRetryStartsFromAnEmptyDestination(t *testing.T) {
	c := lab.StartCluster(t, lab.ClusterOptions{})
	req := request(t, c)
	// The first attempt leaves a file and a directory and fails; the second is the real tool.
	dir := fakeTool(t, `
case $1 in --version) exec `+c.Bin+`/pg_basebackup --version;; esac
mark=`+filepath.Dir(req.Destination)+`/mark
[ -e "$mark" ] && exec `+c.Bin+`/pg_basebackup "$@"
touch "$mark" `+req.Destination+`/junk; mkdir `+req.Destination+`/base
echo "pg_basebackup: error: connection to server was lost" >&2; exit 1`)
	e := New(plugin.Env{PathPrefix: []string{dir}})
	req.Retry = transfer.Retry{Times: 1, Sleep: time.Millisecond}
	if _, err := e.TakeBackup(t.Context(), req, &recorder{}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(req.Destination + "/junk"); err == nil {
		t.Error("what the first attempt left is in the backup")
	}
}

func TestForeignFilesAreNeverWiped(t *testing.T) {
	c := lab.StartCluster(t, lab.ClusterOptions{})
	req := request(t, c)
	precious := req.Destination + "/precious"
	if err := errors.Join(os.Mkdir(req.Destination, 0o700), os.WriteFile(precious, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	req.Retry = transfer.Retry{Times: 2}
	_, err := executor(c).TakeBackup(t.Context(), req, &recorder{})
	if d := diag.FromError(err); d.Code != diag.CodeInvalidOption {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
}

func TestWaitingForWALIsReported(t *testing.T) {
	c := lab.StartCluster(t, lab.ClusterOptions{
		Settings: map[string]string{"archive_mode": "on"}, ArchiveCommand: "/bin/false",
	})
	reported := 0
	rep := &recorder{waiting: func() {
		if reported++; reported > 1 {
			return
		}
		if err := c.Set(context.Background(), map[string]string{"archive_command": "/bin/true"}); err != nil {
			t.Error(err)
		}
	}}
	if _, err := executor(c).TakeBackup(t.Context(), request(t, c), rep); err != nil {
		t.Fatal(err)
	}
	if reported == 0 {
		t.Error("nothing was reported")
	}
}

func TestCancelStopsTheTool(t *testing.T) {
	c := lab.StartCluster(t, lab.ClusterOptions{})
	req := request(t, c)
	req.BandwidthLimit = 32 // the backup would take minutes
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := executor(c).TakeBackup(ctx, req, &recorder{})
		done <- err
	}()
	if err := c.WaitSQL(t.Context(), "SELECT count(*) > 0 FROM pg_stat_progress_basebackup", "t"); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := c.WaitSQL(t.Context(), "SELECT count(*) FROM pg_stat_progress_basebackup", "0"); err != nil {
		t.Error(err)
	}
}
