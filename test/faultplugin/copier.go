package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/barman-go/barman/sdk/progress"
	"github.com/barman-go/barman/sdk/transfer"
)

// copier is a file copier that knows nothing of patterns, reuse and other hosts.
type copier struct{ fault fault }

func (c *copier) Describe() transfer.Description {
	return transfer.Description{Mode: transfer.FileCopy, SupportsParallelJobs: true}
}

func (c *copier) Check(context.Context, transfer.CheckRequest) ([]transfer.CheckRow, error) {
	return []transfer.CheckRow{{Label: "fault", OK: c.fault.name == "", Hint: c.fault.name}}, nil
}

func (c *copier) Copy(ctx context.Context, plan transfer.Plan, rep progress.Reporter) (transfer.CopyResult, error) {
	for n := range plan.Items {
		rep.Progress(progress.Progress{FilesDone: int64(n + 1), FilesTotal: int64(len(plan.Items)), Label: plan.Items[n].Label})
	}
	if err := c.fault.commit(ctx); err != nil {
		return transfer.CopyResult{}, err
	}
	for _, item := range plan.Items {
		err := os.CopyFS(item.Destination, os.DirFS(item.Source))
		if item.Optional && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return transfer.CopyResult{}, err
		}
	}
	return transfer.CopyResult{Files: int64(len(plan.Items)), Workers: plan.Workers, Total: time.Second}, ctx.Err()
}

func (c *copier) ReadFile(_ context.Context, _ []string, path string, _ int64) (transfer.FileContent, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return transfer.FileContent{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return transfer.FileContent{}, err
	}
	return transfer.FileContent{Content: b, Mode: info.Mode().Perm()}, nil
}

func (c *copier) ApplyFiles(ctx context.Context, _ []string, changes []transfer.FileChange) (int, error) {
	if err := c.fault.commit(ctx); err != nil {
		return 0, err
	}
	for n, change := range changes {
		if err := apply(change); err != nil {
			return n, err
		}
	}
	return len(changes), nil
}

func apply(c transfer.FileChange) error {
	switch c.Action {
	case transfer.Write:
		return os.WriteFile(c.Path, c.Content, max(c.Mode, 0o600))
	case transfer.Mkdir:
		return os.MkdirAll(c.Path, 0o700)
	case transfer.Symlink:
		return os.Symlink(c.Target, c.Path)
	case transfer.Rename:
		return os.Rename(c.Path, c.Target)
	case transfer.Remove:
		return os.RemoveAll(c.Path)
	}
	return errors.New("unknown action")
}

func (c *copier) Stat(_ context.Context, _ []string, paths []string) ([]transfer.PathInfo, error) {
	out := make([]transfer.PathInfo, len(paths))
	for i, p := range paths {
		info, err := os.Lstat(p)
		out[i] = transfer.PathInfo{Path: p, Exists: err == nil, FreeBytes: 1 << 30, Writable: true}
		if err == nil {
			out[i].Type, out[i].Size, out[i].Modified = kind(info.Mode()), info.Size(), info.ModTime()
			entries, _ := os.ReadDir(p)
			out[i].HasEntries = len(entries) > 0
		}
	}
	return out, nil
}

func kind(m fs.FileMode) string {
	switch {
	case m.IsRegular():
		return "file"
	case m.IsDir():
		return "directory"
	case m&fs.ModeSymlink != 0:
		return "symlink"
	}
	return "other"
}
