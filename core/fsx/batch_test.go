package fsx

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func contextWithCause(cause error) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.Background())
	return ctx, func() { cancel(cause) }
}

func TestBatchCommits(t *testing.T) {
	dir := t.TempDir()
	var b Batch
	for i := range 40 {
		b.File(write(t, filepath.Join(dir, fmt.Sprint(i)), "x"))
		b.Dir(dir)
	}
	if err := b.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	// What was synced once is not looked at again.
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestBatchErrorIsSticky(t *testing.T) {
	dir := t.TempDir()
	var b Batch
	b.File(write(t, filepath.Join(dir, "good"), "x"))
	b.File(filepath.Join(dir, "missing"))
	first := b.Commit(t.Context())
	if !errors.Is(first, fs.ErrNotExist) {
		t.Fatalf("got %v", first)
	}
	b.Dir(dir)
	if err := b.SyncDirs(t.Context()); !errors.Is(err, first) {
		t.Errorf("SyncDirs after a failure: %v", err)
	}
	if err := b.Commit(t.Context()); !errors.Is(err, first) || !errors.Is(b.Err(), first) {
		t.Errorf("Commit after a failure: %v, Err %v", err, b.Err())
	}
}

func TestBatchStopsWhenCancelled(t *testing.T) {
	var b Batch
	b.File(write(t, filepath.Join(t.TempDir(), "f"), "x"))
	enough := errors.New("enough")
	ctx, cancel := contextWithCause(enough)
	cancel()
	if err := b.Commit(ctx); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
}

func TestSyncErrorsNameTheFileAndMatchErrSync(t *testing.T) {
	// fsync of a pipe is EINVAL: the simplest descriptor on which the kernel refuses it.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if err := Sync(w); !errors.Is(err, ErrSync) {
		t.Errorf("got %v, want ErrSync", err)
	}
}

func tree(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "ten"), "0123456789")
	shared := write(t, filepath.Join(dir, "sub", "shared"), "12345")
	if err := os.Link(shared, filepath.Join(filepath.Dir(dir), "elsewhere")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Dir(dir), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestTreeSizeCountsSharedFilesOnce(t *testing.T) {
	got, err := TreeSize(t.Context(), tree(t))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Size{Bytes: 15, Deduplicated: 10, Files: 2}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if _, err := TreeSize(t.Context(), filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing tree: %v", err)
	}
}

func TestSyncTree(t *testing.T) {
	for name, sync := range map[string]func(context.Context, string) error{"syncfs": SyncTree, "walk": syncTreeByWalk} {
		if err := sync(t.Context(), tree(t)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := sync(t.Context(), filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s of a missing tree: %v", name, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := sync(ctx, tree(t)); !errors.Is(err, context.Canceled) {
			t.Errorf("%s, cancelled: %v", name, err)
		}
	}
}

func TestReleaseAtLeast(t *testing.T) {
	for release, want := range map[string]bool{
		"5.8": true, "5.8.0-rc1": true, "5.10.0-28-amd64": true, "6.1": true, "6-custom": false, "5.8-x": true,
		"5.7.19": false, "4.19.0-26-amd64": false, "": false, "x.y": false,
	} {
		if got := releaseAtLeast(release, 5, 8); got != want {
			t.Errorf("%q: %v", release, got)
		}
	}
}
