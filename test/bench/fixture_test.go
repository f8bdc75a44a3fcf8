package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/barman-go/barman/test/lab"
)

// segments is how much WAL is archived in a round.
const segments = 64

// bed is what all benchmarks share: the programs, and, after needWAL, a stopped cluster and its WAL.
type bed struct {
	build   *lab.Build
	owner   lab.User
	dir     string
	cluster *lab.Cluster
	// wal holds the segments, in the order of their names.
	wal   string
	names []string
	// ratios are the sizes of what each program stored, relative to the plain segments, by program and compression.
	ratios map[string]float64
	// large is there after needLarge.
	large *backedUp
}

func newBed(t *testing.T) *bed {
	t.Helper()
	owner, err := lab.PostgresUser()
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{build: lab.BuildBinaries(t), owner: owner, dir: lab.ScratchDir(t)}
	b.wal = b.mkdir(t, "wal")
	return b
}

func (b *bed) mkdir(t *testing.T, parts ...string) string {
	t.Helper()
	dir := filepath.Join(append([]string{b.dir}, parts...)...)
	b.as(t, "mkdir", "-p", dir)
	return dir
}

// as runs a command as the owner of the cluster.
func (b *bed) as(t *testing.T, argv ...string) string {
	t.Helper()
	out, err := b.owner.Command(t.Context(), b.dir, argv...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
	return string(out)
}

// needWAL lets pgbench write the segments, for the first part that needs them: inserts and updates of small rows, with full
// page images after checkpoints.
func (b *bed) needWAL(t *testing.T) {
	t.Helper()
	if b.cluster != nil {
		return
	}
	b.cluster = lab.StartCluster(t, lab.ClusterOptions{
		Dir: b.mkdir(t, "cluster"), ArchiveCommand: fmt.Sprintf("cp %%p %s/%%f", b.wal),
		Settings: map[string]string{"max_wal_size": "'512MB'", "checkpoint_timeout": "'60s'", "wal_recycle": "off"},
	})
	if err := b.cluster.InitPgbench(t.Context(), 10, ""); err != nil {
		t.Fatal(err)
	}
	load := b.cluster.StartPgbench(t, 4, 0)
	for {
		b.names = segmentNames(t, b.wal)
		if len(b.names) >= segments+1 {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	_ = load.Stop()
	if err := b.cluster.Stop(lab.Fast); err != nil {
		t.Fatal(err)
	}
	b.names = segmentNames(t, b.wal)[:segments]
}

func segmentNames(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if len(e.Name()) == 24 {
			names = append(names, e.Name())
		}
	}
	return names
}

// barman prepares a run of our program with a configuration.
func (b *bed) barman(ctx context.Context, config string, args ...string) *exec.Cmd {
	return b.build.Command(ctx, b.owner, b.dir, "barman", append([]string{"-c", config}, args...)...)
}

// write writes a file that the owner can read.
func (b *bed) write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(b.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// treeSize is the sum of the sizes of the files below a directory whose names pass.
func treeSize(t *testing.T, dir string, pass func(name string) bool) (files int, bytes int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() || !pass(e.Name()) {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		files++
		bytes += info.Size()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files, bytes
}
