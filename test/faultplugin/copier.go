package main

import (
	"context"
	"io/fs"
	"os"
	"time"

	"github.com/barman-go/barman/sdk/progress"
	"github.com/barman-go/barman/sdk/transfer"
)

// copier is a file copier that copies nothing: it counts the items of a plan.
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
	return transfer.CopyResult{Files: int64(len(plan.Items)), Workers: plan.Workers, Total: time.Second}, ctx.Err()
}

func (c *copier) ReadFile(_ context.Context, _ []string, path string, _ int64) (transfer.FileContent, error) {
	b, err := os.ReadFile(path)
	return transfer.FileContent{Content: b, Mode: 0o600}, err
}

func (c *copier) ApplyFiles(ctx context.Context, _ []string, changes []transfer.FileChange) (int, error) {
	if err := c.fault.commit(ctx); err != nil {
		return 0, err
	}
	for n, change := range changes {
		if change.Action != transfer.Write {
			continue
		}
		if err := os.WriteFile(change.Path, change.Content, 0o600); err != nil {
			return n, err
		}
	}
	return len(changes), nil
}

func (c *copier) Stat(_ context.Context, _ []string, paths []string) ([]transfer.PathInfo, error) {
	out := make([]transfer.PathInfo, len(paths))
	for i, p := range paths {
		info, err := os.Lstat(p)
		out[i] = transfer.PathInfo{Path: p, Exists: err == nil}
		if err == nil {
			out[i].Type, out[i].Size, out[i].Modified = kind(info.Mode()), info.Size(), info.ModTime()
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
