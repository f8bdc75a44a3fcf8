package fsx

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// syncParallel is how many fsyncs a Batch runs at once. A journaling file system commits those that wait together in
// one transaction, so the number may exceed that of the CPUs and disks.
const syncParallel = 16

// Batch makes many files durable together (group commit): the cost of an fsync is mostly waiting, and the waits
// overlap. The zero value is ready to use.
//
//	for each file { write temp; b.File(temp) }
//	b.SyncFiles(ctx)                            // contents
//	for each file { rename; b.Dir(dir) }
//	b.SyncDirs(ctx)                             // names, each directory once
//	append the records, fsync                   // only now
//	for each file { remove source; b.Dir(sourceDir) }
//	b.SyncDirs(ctx)
//
// The first error is sticky: every later SyncFiles, SyncDirs and Commit returns it without doing anything, so a batch
// that failed once can never be taken for durable. Its methods may be called from several goroutines, but a file
// added while SyncFiles runs is left for the next call.
type Batch struct {
	mu    sync.Mutex
	files map[string]struct{}
	dirs  map[string]struct{}
	err   error
}

// File adds a file whose content must be made durable.
func (b *Batch) File(path string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	add(&b.files, path)
}

// Dir adds a directory in which a name was created, changed or removed.
func (b *Batch) Dir(dir string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	add(&b.dirs, filepath.Clean(dir))
}

func add(set *map[string]struct{}, path string) {
	if *set == nil {
		*set = make(map[string]struct{})
	}
	(*set)[path] = struct{}{}
}

// SyncFiles makes the contents of all files added since the last call durable.
func (b *Batch) SyncFiles(ctx context.Context) error { return b.flush(ctx, &b.files, SyncFile) }

// SyncDirs makes the names in all directories added since the last call durable.
func (b *Batch) SyncDirs(ctx context.Context) error { return b.flush(ctx, &b.dirs, SyncDir) }

// Commit is SyncFiles and then SyncDirs.
func (b *Batch) Commit(ctx context.Context) error {
	if err := b.SyncFiles(ctx); err != nil {
		return err
	}
	return b.SyncDirs(ctx)
}

// Err is the sticky error, or nil.
func (b *Batch) Err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

func (b *Batch) flush(ctx context.Context, set *map[string]struct{}, sync func(string) error) error {
	b.mu.Lock()
	paths := slices.Sorted(maps.Keys(*set))
	*set = nil
	err := b.err
	b.mu.Unlock()
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(syncParallel)
	for _, path := range paths {
		group.Go(func() error {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			return sync(path)
		})
	}
	err = group.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = err
	}
	return b.err
}
