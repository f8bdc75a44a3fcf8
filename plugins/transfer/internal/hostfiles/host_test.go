package hostfiles

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/transfer"
	"github.com/barman-go/barman/test/lab"
)

// onBoth runs a test with the files on this host and through ssh.
func onBoth(t *testing.T, test func(t *testing.T, h Host)) {
	t.Run("local", func(t *testing.T) { test(t, Host{}) })
	t.Run("ssh", func(t *testing.T) { test(t, Host{Remote: ssh(t)}) })
}

func ssh(t *testing.T) []string {
	me, err := lab.CurrentUser()
	if err != nil {
		t.Fatal(err)
	}
	return lab.StartSSHD(t).Command(me, me)
}

func TestWriteThenRead(t *testing.T) {
	big := bytes.Repeat(everyByte(), DefaultMaxBytes/256)
	cases := []struct {
		name    string
		content []byte
		mode    fs.FileMode
		want    fs.FileMode
	}{
		{"recovery.signal", []byte{}, 0, 0o600},
		{"it's a\nname $(x) *", []byte("restore_command = 'cp \"%p\"'\n"), 0o640, 0o640},
		{"every byte", everyByte(), 0o644, 0o644},
		{"largest", big, 0, 0o600},
	}
	onBoth(t, func(t *testing.T, h Host) {
		dir := t.TempDir()
		for _, c := range cases {
			path := filepath.Join(dir, c.name)
			change := transfer.FileChange{Path: path, Action: transfer.Write, Content: c.content, Mode: c.mode}
			if n, err := h.ApplyFiles(t.Context(), []transfer.FileChange{change}); n != 1 || err != nil {
				t.Fatalf("%q: %d, %v", c.name, n, err)
			}
			got, err := h.ReadFile(t.Context(), path, 0)
			if err != nil {
				t.Fatalf("%q: %v", c.name, err)
			}
			if !bytes.Equal(got.Content, c.content) || got.Mode != c.want {
				t.Errorf("%q: %d bytes, mode %v", c.name, len(got.Content), got.Mode)
			}
		}
		if left, _ := filepath.Glob(filepath.Join(dir, ".barman*")); len(left) > 0 {
			t.Errorf("temporary files are left: %q", left)
		}
	})
}

func TestReadFileErrors(t *testing.T) {
	onBoth(t, func(t *testing.T, h Host) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "five"), []byte("12345"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := h.ReadFile(t.Context(), filepath.Join(dir, "no/such"), 0); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("missing file: %v", err)
		}
		var d diag.Diagnostic
		if _, err := h.ReadFile(t.Context(), filepath.Join(dir, "five"), 4); !errors.As(err, &d) || !strings.Contains(d.Summary, "larger") {
			t.Errorf("large file: %v", err)
		}
		if _, err := h.ReadFile(t.Context(), dir, 0); !errors.As(err, &d) || !strings.Contains(d.Summary, "regular") {
			t.Errorf("directory: %v", err)
		}
		if _, err := h.ReadFile(t.Context(), "relative", 0); !errors.As(err, &d) || d.Code != diag.CodeInvalidOption {
			t.Errorf("relative path: %v", err)
		}
	})
}

func TestApplyFilesMakesEachKindOfChange(t *testing.T) {
	onBoth(t, func(t *testing.T, h Host) {
		dir := t.TempDir()
		at := func(name string) string { return filepath.Join(dir, name) }
		for _, name := range []string{"old link target", "file", "gone dir"} {
			if err := os.Mkdir(at(name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(os.Symlink(at("old link target"), at("link")), os.WriteFile(at("from"), []byte("x"), 0o600),
			os.WriteFile(at("to"), []byte("y"), 0o600), os.WriteFile(at("gone file"), nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		changes := []transfer.FileChange{
			{Path: at("a/b/c"), Action: transfer.Mkdir, Mode: 0o750},
			{Path: at("a/b"), Action: transfer.Mkdir, Mode: 0o777}, // exists, keeps its mode
			{Path: at("link"), Action: transfer.Symlink, Target: "/ts/it's hot"},
			{Path: at("gone file"), Action: transfer.Remove},
			{Path: at("gone dir"), Action: transfer.Remove},
			{Path: at("no/such"), Action: transfer.Remove},
			{Path: at("from"), Action: transfer.Rename, Target: at("to")},
			{Path: at("a"), Action: transfer.Sync},
		}
		if n, err := h.ApplyFiles(t.Context(), changes); n != len(changes) || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		modes := map[string]fs.FileMode{}
		for _, name := range []string{"a", "a/b", "a/b/c"} {
			info, err := os.Stat(at(name))
			if err != nil {
				t.Fatal(err)
			}
			modes[name] = info.Mode().Perm()
		}
		if diff := cmp.Diff(map[string]fs.FileMode{"a": 0o700, "a/b": 0o700, "a/b/c": 0o750}, modes); diff != "" {
			t.Errorf("modes (-want +got):\n%s", diff)
		}
		if target, _ := os.Readlink(at("link")); target != "/ts/it's hot" {
			t.Errorf("link points to %q", target)
		}
		if content, _ := os.ReadFile(at("to")); string(content) != "x" {
			t.Errorf("renamed file holds %q", content)
		}
		var names []string
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		if diff := cmp.Diff([]string{"a", "file", "link", "old link target", "to"}, names); diff != "" {
			t.Errorf("left (-want +got):\n%s", diff)
		}
	})
}

func TestApplyFilesStopsAtTheFirstFailure(t *testing.T) {
	onBoth(t, func(t *testing.T, h Host) {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, "full/x"), 0o700); err != nil {
			t.Fatal(err)
		}
		last := filepath.Join(dir, "last")
		for name, failing := range map[string]transfer.FileChange{
			"directory with content": {Path: filepath.Join(dir, "full"), Action: transfer.Remove},
			"link over a directory":  {Path: filepath.Join(dir, "full"), Action: transfer.Symlink, Target: "/x"},
			"write over a directory": {Path: filepath.Join(dir, "full"), Action: transfer.Write},
			"write without parent":   {Path: filepath.Join(dir, "no/such"), Action: transfer.Write},
			"sync of nothing":        {Path: filepath.Join(dir, "nothing"), Action: transfer.Sync},
			"rename of nothing":      {Path: filepath.Join(dir, "nothing"), Action: transfer.Rename, Target: last},
			"rename over content":    {Path: filepath.Join(dir, "full/x"), Action: transfer.Rename, Target: filepath.Join(dir, "full")},
		} {
			n, err := h.ApplyFiles(t.Context(), []transfer.FileChange{
				{Path: filepath.Join(dir, "first"), Action: transfer.Write},
				failing,
				{Path: last, Action: transfer.Write},
			})
			if n != 1 || err == nil {
				t.Errorf("%s: %d changes, error %v", name, n, err)
			}
			if _, err := os.Lstat(last); err == nil {
				t.Errorf("%s: a later change was made", name)
			}
		}
	})
}

func TestStat(t *testing.T) {
	onBoth(t, func(t *testing.T, h Host) {
		dir := t.TempDir()
		at := func(name string) string { return filepath.Join(dir, name) }
		when := time.Unix(1767780000, 0)
		if err := errors.Join(os.WriteFile(at("file"), []byte("12345"), 0o600), os.Chtimes(at("file"), when, when),
			os.Symlink(at("empty"), at("link")), os.Mkdir(at("empty"), 0o700), os.Mkdir(at("hidden"), 0o700),
			os.WriteFile(at("hidden/.x"), nil, 0o600), os.Mkdir(at("odd"), 0o700), os.WriteFile(at("odd/\n"), nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		want := []transfer.PathInfo{
			{Path: at("file"), Exists: true, Type: "file", Size: 5, Modified: when, Writable: true},
			{Path: at("link"), Exists: true, Type: "symlink", Writable: true},
			{Path: at("empty"), Exists: true, Type: "directory", Writable: true},
			{Path: at("hidden"), Exists: true, Type: "directory", HasEntries: true, Writable: true},
			{Path: at("odd"), Exists: true, Type: "directory", HasEntries: true, Writable: true},
			{Path: at("no/such/it's"), Writable: true},
			{Path: at("file/x"), Writable: true},
		}
		var paths []string
		for _, w := range want {
			paths = append(paths, w.Path)
		}
		got, err := h.Stat(t.Context(), paths)
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			if got[i].FreeBytes <= 0 {
				t.Errorf("%s: no free bytes", got[i].Path)
			}
			got[i].FreeBytes = 0
			if got[i].Type != "file" {
				got[i].Size, got[i].Modified = 0, time.Time{}
			}
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestRemoteErrorsAreTold(t *testing.T) {
	cases := []struct {
		name   string
		remote []string
		code   string
	}{
		{"no such program", []string{"no-such-ssh", "host"}, diag.CodeToolMissing},
		{"refused", []string{"ssh", "-F", "none", "-p", "1", "127.0.0.1"}, diag.CodeConnectionFailed},
		{"swallows its input", []string{"true"}, diag.CodeConnectionFailed},
		// The connection breaks before the whole program has arrived.
		{"half a program", []string{"sh", "-c", `head -c 3000 | sh -s`}, diag.CodeToolFailed},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f")
			_, err := Host{Remote: c.remote}.ApplyFiles(t.Context(), []transfer.FileChange{{Path: path, Action: transfer.Write}})
			if d := diag.FromError(err); d.Code != c.code {
				t.Errorf("code %q of %v", d.Code, err)
			}
			if _, err := os.Lstat(path); err == nil {
				t.Error("the change was made")
			}
		})
	}
}

func TestChatterOfALoginScriptIsIgnored(t *testing.T) {
	h := Host{Remote: []string{"sh", "-c", `echo "barman-X welcome"; exec sh -s`}}
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := h.ReadFile(t.Context(), path, 0)
	if err != nil || string(got.Content) != "content" {
		t.Errorf("%q, %v", got.Content, err)
	}
}

func TestParseLook(t *testing.T) {
	cases := map[string]int64{
		"directory 4096 5 0 1|/dev/sda1 1000 400 600 40% /":                 600 << 10,
		"directory 4096 5 0 1|//nas/my share 1000 400 600 40% /mnt/a b 5 c": 600 << 10,
		"directory 4096 5 0 1|overlay 1000 1100 -100 110% /":                0,
	}
	for answer, want := range cases {
		got, err := parseLook(answer)
		if err != nil || got.FreeBytes != want {
			t.Errorf("%q: %d, %v", answer, got.FreeBytes, err)
		}
	}
	for _, answer := range []string{"", "file", "file 1 2 3 4", "file 1 2 0 1|nonsense"} {
		if _, err := parseLook(answer); err == nil {
			t.Errorf("%q was accepted", answer)
		}
	}
}
