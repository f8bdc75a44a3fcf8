package plugintest

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/progress"
	"github.com/barman-go/barman/sdk/transfer"
)

// nowhere is a remote command that cannot work.
var nowhere = []string{"/nonexistent/ssh", "nowhere"}

func checkTransfer(t *testing.T, p *process) {
	c := transfer.NewClient(p.conn, p.open(t))
	d, err := c.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d.Mode != transfer.FileCopy && d.Mode != transfer.SelfContained {
		t.Fatalf("mode %d is neither of the two", d.Mode)
	}
	t.Run("check reports what does not work", func(t *testing.T) { checkNonsense(t, c) })
	if d.Mode == transfer.SelfContained {
		t.Run("backup from nowhere fails", func(t *testing.T) { checkTakeFromNowhere(t, c) })
		return
	}
	t.Run("copy", func(t *testing.T) { checkCopy(t, c) })
	t.Run("copy of a missing source fails", func(t *testing.T) { checkCopyMissing(t, c) })
	t.Run("cancelled copy", func(t *testing.T) { checkCopyCancelled(t, c) })
	t.Run("small files", func(t *testing.T) { checkSmallFiles(t, c) })
}

// checkNonsense: probing what cannot work is not a fault of the protocol, and not a success.
func checkNonsense(t *testing.T, c *transfer.Client) {
	rows, err := c.Check(t.Context(), transfer.CheckRequest{
		Remote: nowhere, Conninfo: "host=/nonexistent port=1 connect_timeout=2", ServerVersion: 150000,
	})
	failed := err != nil
	for _, r := range rows {
		if r.Label == "" {
			t.Error("a row has no label")
		}
		if !r.OK {
			failed = true
			if r.Hint == "" {
				t.Errorf("row %q failed and does not say why", r.Label)
			}
		}
	}
	needsDiagnostic(t, err)
	// Whether PostgreSQL can be reached is the host's own check; the other host is the plugin's.
	if d, derr := c.Describe(t.Context()); derr != nil || d.NeedsSSHCommand && !failed {
		t.Errorf("a host that cannot be reached passes: %+v, %v", rows, derr)
	}
}

// needsDiagnostic: what goes wrong in the world is no fault of the protocol.
func needsDiagnostic(t *testing.T, err error) {
	t.Helper()
	var d diag.Diagnostic
	if err != nil && (!errors.As(err, &d) || d.Code == diag.CodeProtocol) {
		t.Errorf("want a diagnostic, got %v", err)
	}
}

type waiting struct{ progress.Reporter }

// WaitingForWAL does nothing: nothing is archived here.
func (waiting) WaitingForWAL() {}

func checkTakeFromNowhere(t *testing.T, c *transfer.Client) {
	req := transfer.TakeBackupRequest{
		BackupID: "20260101T000000", Destination: filepath.Join(t.TempDir(), "data"), ServerVersion: 150000,
		Conninfo: "host=/nonexistent port=1 connect_timeout=2",
	}
	_, err := c.TakeBackup(t.Context(), req, waiting{progress.Discard})
	if err == nil {
		t.Error("there is a backup from nowhere")
	}
	needsDiagnostic(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.TakeBackup(ctx, req, waiting{progress.Discard}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before it began: %v", err)
	}
}

func plan(source, destination string) transfer.Plan {
	return transfer.Plan{
		Direction: transfer.Local, Workers: 2,
		Items: []transfer.Item{{
			Label: "pgdata", Kind: transfer.Directory, Source: source, Destination: destination, Reuse: transfer.ReuseOff,
			DeleteExtra: true,
		}},
	}
}

// tree makes a small tree and returns it.
func tree(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "source")
	for name, content := range map[string]string{
		"PG_VERSION": "15\n", "base/1/1259": "table", "base/1/empty": "", "global/pg_control": "control", "name with space": "x",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func checkCopy(t *testing.T, c *transfer.Client) {
	source, destination := tree(t), filepath.Join(t.TempDir(), "destination")
	if _, err := c.Copy(t.Context(), plan(source, destination), progress.Discard); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(source, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(source, path)
		if err != nil {
			return err
		}
		copied := filepath.Join(destination, relative)
		info, err := os.Lstat(copied)
		if err != nil {
			return err
		}
		if info.Mode().Type() != e.Type() {
			t.Errorf("%s is %s, its copy %s", relative, e.Type(), info.Mode().Type())
		}
		if e.Type().IsRegular() {
			want, _ := os.ReadFile(path)
			if got, err := os.ReadFile(copied); err != nil || string(got) != string(want) {
				t.Errorf("%s has %q, its copy %q, %v", relative, want, got, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func checkCopyMissing(t *testing.T, c *transfer.Client) {
	p := plan("/nonexistent/source", filepath.Join(t.TempDir(), "destination"))
	_, err := c.Copy(t.Context(), p, progress.Discard)
	if err == nil {
		t.Error("a missing source passes")
	}
	needsDiagnostic(t, err)
	p.Items[0].Optional = true
	if _, err := c.Copy(t.Context(), p, progress.Discard); err != nil {
		t.Errorf("an optional source is missing: %v", err)
	}
}

func checkCopyCancelled(t *testing.T, c *transfer.Client) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	destination := filepath.Join(t.TempDir(), "destination")
	if _, err := c.Copy(ctx, plan(tree(t), destination), progress.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func checkSmallFiles(t *testing.T, c *transfer.Client) {
	ctx := t.Context()
	dir := t.TempDir()
	file, link, moved := filepath.Join(dir, "sub", "file"), filepath.Join(dir, "link"), filepath.Join(dir, "moved")
	done, err := c.ApplyFiles(ctx, nil, []transfer.FileChange{
		{Action: transfer.Mkdir, Path: filepath.Dir(file)},
		{Action: transfer.Write, Path: file, Content: []byte("content"), Mode: 0o640},
		{Action: transfer.Symlink, Path: link, Target: "sub"},
		{Action: transfer.Write, Path: filepath.Join(dir, "old"), Content: []byte("old")},
		{Action: transfer.Rename, Path: filepath.Join(dir, "old"), Target: moved},
		{Action: transfer.Remove, Path: filepath.Join(dir, "was never there")},
	})
	if done != 6 || err != nil {
		t.Fatalf("%d of 6 changes done: %v", done, err)
	}
	got, err := c.ReadFile(ctx, nil, file, 0)
	if err != nil || string(got.Content) != "content" || got.Mode.Perm() != 0o640 {
		t.Errorf("the file has %q, mode %s, %v", got.Content, got.Mode, err)
	}
	if _, err := c.ReadFile(ctx, nil, filepath.Join(dir, "old"), 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	infos, err := c.Stat(ctx, nil, []string{file, dir, link, filepath.Join(dir, "none", "at all")})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		exists bool
		typ    string
	}{{true, "file"}, {true, "directory"}, {true, "symlink"}, {false, ""}} {
		if infos[i].Exists != want.exists || infos[i].Type != want.typ {
			t.Errorf("%s is %+v", infos[i].Path, infos[i])
		}
	}
	if infos[0].Size != 7 || !infos[1].HasEntries || infos[3].FreeBytes <= 0 {
		t.Errorf("found %+v", infos)
	}
	done, err = c.ApplyFiles(ctx, nil, []transfer.FileChange{
		{Action: transfer.Remove, Path: moved},
		{Action: transfer.Write, Path: "/nonexistent/x", Content: []byte("x")},
		{Action: transfer.Remove, Path: file},
	})
	if _, serr := os.Lstat(file); done != 1 || err == nil || serr != nil {
		t.Errorf("it must stop at the first failure: %d done, %v, %v", done, err, serr)
	}
	needsDiagnostic(t, err)
}
