package pluginhost

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestSearchOrder(t *testing.T) {
	name := "barman-hook-fault"
	explicit, server, global, bundled, path := install(t, name), install(t, name), install(t, name), install(t, name), install(t, name)
	h, _ := newHost(t, Options{
		GlobalPathPrefix: []string{global}, BundledDir: bundled, SearchPath: []string{path},
		Paths: map[string]string{"hook/fault": filepath.Join(explicit, name)},
	})
	for _, step := range []struct {
		dir    string
		origin Origin
	}{
		{explicit, OriginExplicit}, {server, OriginServer}, {global, OriginGlobal}, {bundled, OriginBundled}, {path, OriginPATH},
	} {
		f, err := h.find("hook", "fault", Use{PathPrefix: []string{server}})
		if err != nil {
			t.Fatal(err)
		}
		_ = f.file.Close()
		if f.Path != filepath.Join(step.dir, name) || f.Origin != step.origin {
			t.Errorf("found %s (%s), want it in %s (%s)", f.Path, f.Origin, step.dir, step.origin)
		}
		if step.origin == OriginExplicit {
			h.opts.Paths = nil
			continue
		}
		if err := os.Remove(f.Path); err != nil {
			t.Fatal(err)
		}
	}
	_, err := h.find("hook", "fault", Use{PathPrefix: []string{server}})
	want := &NotFoundError{Type: "hook", Name: "fault", Looked: []string{server, global, bundled, path}}
	if d := cmp.Diff(want, err, cmpopts.EquateEmpty()); d != "" {
		t.Error(d)
	}
}

func TestMissingPluginSuggestsNames(t *testing.T) {
	dir := install(t, "barman-compress-zstd", "barman-compress-gzip", "barman-hook-zstx")
	h, _ := newHost(t, Options{BundledDir: dir})
	_, err := h.find("compress", "zsdt", Use{})
	text := err.Error()
	for _, want := range []string{
		`compress plugin "zsdt" is not installed; did you mean "zstd"?`, "looked in: " + dir, "installed compress plugins: gzip, zstd",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
}

func TestUntrustedFilesAreRejectedWithReason(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("giving files to another user needs root")
	}
	const nobody = 65534
	name := "barman-hook-fault"
	copyTo := func(dir string) string {
		t.Helper()
		b, err := os.ReadFile(faultBinary)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		name  string
		spoil func(dir, path string) error
		want  string
	}{
		{"file of another user", func(_, p string) error { return os.Chown(p, nobody, 0) }, "barman-hook-fault is owned by uid 65534"},
		{"file that all may write", func(_, p string) error { return os.Chmod(p, 0o757) }, "barman-hook-fault is writable by others (mode 0757)"},
		{"file that a group may write", func(_, p string) error { return os.Chmod(p, 0o775) }, "chmod go-w"},
		{"directory of another user", func(d, _ string) error { return os.Chown(d, nobody, 0) }, "is owned by uid 65534"},
		{"directory that all may write", func(d, _ string) error { return os.Chmod(d, 0o777) }, "is writable by others (mode 0777)"},
		{"sticky directory of another user", func(d, _ string) error {
			return errors.Join(os.Chown(d, nobody, 0), os.Chmod(d, 0o777|os.ModeSticky))
		}, "is owned by uid 65534"},
		{"not executable", func(_, p string) error { return os.Chmod(p, 0o644) }, "it is not executable (mode 0644)"},
		{"directory", func(_, p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o755)) }, "it is not a regular file"},
		{"link of another user", func(_, p string) error {
			return errors.Join(os.Rename(p, p+".real"), os.Symlink(p+".real", p), os.Lchown(p, nobody, 0))
		}, "is owned by uid 65534"},
		{"link to an untrusted place", func(d, p string) error {
			open := filepath.Join(t.TempDir(), "open")
			return errors.Join(os.Mkdir(open, 0o755), os.Chmod(open, 0o777), os.Rename(p, filepath.Join(open, name)),
				os.Symlink(filepath.Join(open, name), p))
		}, "is writable by others (mode 0777)"},
		{"link to itself", func(_, p string) error { return errors.Join(os.Remove(p), os.Symlink(p, p)) }, "too many symbolic links"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := install(t)
			path := copyTo(dir)
			if err := c.spoil(dir, path); err != nil {
				t.Fatal(err)
			}
			h, _ := newHost(t, Options{BundledDir: dir})
			_, err := h.find("hook", "fault", Use{})
			var missing *NotFoundError
			if !errors.As(err, &missing) || len(missing.Rejected) != 1 {
				t.Fatalf("got %v", err)
			}
			if got := missing.Rejected[0]; got.Path != path || !strings.Contains(got.Reason, c.want) {
				t.Errorf("rejected %+v, want the reason %q", got, c.want)
			}

			// A trusted one further down is taken instead.
			good := install(t, name)
			h.opts.SearchPath = []string{good}
			f, err := h.find("hook", "fault", Use{})
			if err != nil {
				t.Fatal(err)
			}
			_ = f.file.Close()
			if f.Path != filepath.Join(good, name) {
				t.Errorf("found %s", f.Path)
			}
		})
	}
}

func TestStickyDirectoryOfRootMayStandAmongTheParents(t *testing.T) {
	info, err := os.Stat("/tmp")
	if err != nil || info.Mode()&os.ModeSticky == 0 {
		t.Skip("/tmp is not sticky here")
	}
	dir, err := os.MkdirTemp("/tmp", "sticky-")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.Symlink(faultBinary, filepath.Join(dir, "barman-hook-fault")); err != nil {
		t.Fatal(err)
	}
	h, _ := newHost(t, Options{BundledDir: dir})
	f, err := h.find("hook", "fault", Use{})
	if err != nil {
		t.Fatal(err)
	}
	_ = f.file.Close()
	if f.RealPath != faultBinary {
		t.Errorf("the link leads to %s", f.RealPath)
	}
}

func TestExplicitPathIsTheOnlyPlace(t *testing.T) {
	h, _ := newHost(t, Options{BundledDir: install(t, "barman-hook-fault")})
	_, err := h.find("hook", "fault", Use{Path: "/nowhere/plugin"})
	var missing *NotFoundError
	if !errors.As(err, &missing) || len(missing.Rejected) != 1 || missing.Rejected[0].Path != "/nowhere/plugin" {
		t.Errorf("got %v", err)
	}
}

func TestNameCannotLeaveTheDirectory(t *testing.T) {
	h, _ := newHost(t, Options{BundledDir: install(t, "barman-hook-fault")})
	for _, name := range []string{"", "../x", "a/b", "a\x00b"} {
		if f, err := h.find("hook", name, Use{}); err == nil {
			t.Errorf("%q found %s", name, f.Path)
		}
	}
}

func TestPins(t *testing.T) {
	dir := install(t, "barman-hook-fault")
	file, err := os.Open(faultBinary)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	sum, err := digest(file)
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Repeat("ab", 32)
	for _, c := range []struct {
		name string
		opts Options
		use  Use
		want string // empty: found
	}{
		{"right pin", Options{Pins: map[string]string{"hook/fault": strings.ToUpper(sum)}}, Use{}, ""},
		{"wrong pin", Options{Pins: map[string]string{"hook/fault": other}}, Use{}, "its sha256 is " + sum + ", the configuration wants " + other},
		{"the server's pin comes first", Options{Pins: map[string]string{"hook/fault": other}}, Use{SHA256: sum}, ""},
		{"right lock", Options{Lock: &Lock{Digests: map[string]string{"hook/fault": sum}}}, Use{}, ""},
		{"wrong lock", Options{Lock: &Lock{Path: "/l", Digests: map[string]string{"hook/fault": other}}}, Use{}, "the lock file /l wants " + other},
		{"not in the lock", Options{Lock: &Lock{Path: "/l"}}, Use{}, "the lock file /l does not name hook/fault"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.opts.BundledDir = dir
			h, _ := newHost(t, c.opts)
			f, err := h.find("hook", "fault", c.use)
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				_ = f.file.Close()
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestFileReplacedAfterTheCheckIsNotExecuted(t *testing.T) {
	dir := install(t, "barman-hook-fault")
	h, _ := newHost(t, Options{BundledDir: dir})
	proc, err := h.locate(t.Context(), "hook", "fault", Use{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "barman-hook-fault")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho stolen >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	run, err := proc.ensure(t.Context())
	if err != nil {
		t.Fatalf("the checked file did not start: %v", err)
	}
	if run.desc.info.Version != "1.2.3" {
		t.Errorf("got %+v", run.desc.info)
	}
}

func TestLockFileRoundTrip(t *testing.T) {
	lock := &Lock{Digests: map[string]string{"hook/script": strings.Repeat("0f", 32), "compress/zstd": strings.Repeat("a1", 32)}}
	path := filepath.Join(t.TempDir(), "plugins.lock")
	if err := os.WriteFile(path, lock.Encode(), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := ReadLock(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(lock.Digests, got.Digests); d != "" {
		t.Error(d)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadLock(path); err == nil || !strings.Contains(err.Error(), "writable by others") {
		t.Errorf("got %v", err)
	}
	if got, err := ReadLock(path + ".none"); got != nil || err != nil {
		t.Errorf("without the file: %v, %v", got, err)
	}
}

func FuzzParseLock(f *testing.F) {
	f.Add([]byte("# c\n" + strings.Repeat("ab", 32) + "  compress/zstd\n"))
	f.Add([]byte("x"))
	f.Fuzz(func(t *testing.T, content []byte) {
		lock, err := parseLock(content)
		if err != nil {
			return
		}
		again, err := parseLock(lock.Encode())
		if err != nil {
			t.Fatalf("%q encodes to something else: %v", content, err)
		}
		if d := cmp.Diff(lock.Digests, again.Digests); d != "" {
			t.Error(d)
		}
	})
}

func TestListShowsWhatIsInForceAndWhyNotTheRest(t *testing.T) {
	earlier := install(t, "barman-hook-fault")
	later := install(t, "barman-hook-fault", "barman-compress-fault", "barman-hook-liar", "barman-transfer-fault")
	open := filepath.Join(later, "barman-transfer-open")
	if err := os.WriteFile(open, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	h, _ := newHost(t, Options{GlobalPathPrefix: []string{earlier}, BundledDir: later})
	got, err := h.List(t.Context(), Use{})
	if err != nil {
		t.Fatal(err)
	}
	want := []Entry{
		{Type: "compress", Name: "fault", Version: "1.2.3", Origin: OriginBundled, Status: InForce},
		{Type: "hook", Name: "fault", Version: "1.2.3", Origin: OriginGlobal, Status: InForce},
		{Type: "hook", Name: "fault", Origin: OriginBundled, Status: Shadowed, Reason: "by " + filepath.Join(earlier, "barman-hook-fault")},
		{
			Type: "hook", Name: "liar", Origin: OriginBundled, Status: Broken,
			Reason: `it says that it is the hook plugin "fault"; its file must be called barman-hook-fault`,
		},
		{Type: "transfer", Name: "fault", Version: "1.2.3", Origin: OriginBundled, Status: InForce},
		{
			Type: "transfer", Name: "open", Origin: OriginBundled, Status: Rejected,
			Reason: open + " is writable by others (mode 0777); chmod go-w " + open,
		},
	}
	if d := cmp.Diff(want, got, cmpopts.IgnoreFields(Entry{}, "Path", "RealPath", "SHA256", "Summary")); d != "" {
		t.Error(d)
	}
}

func TestVerify(t *testing.T) {
	h, _ := newHost(t, Options{BundledDir: install(t, "barman-hook-fault", "barman-hook-liar")})
	e, err := h.Verify(t.Context(), "hook", "fault", Use{})
	if err != nil || e.Status != InForce || e.Version != "1.2.3" || len(e.SHA256) != 64 {
		t.Errorf("%+v, %v", e, err)
	}
	if _, err := h.Verify(t.Context(), "hook", "liar", Use{}); err == nil {
		t.Error("a plugin with another name passes")
	}
	if _, err := h.Verify(t.Context(), "hook", "fault", fault("refuse", "")); err != nil {
		t.Errorf("what only Open finds is not Verify's business: %v", err)
	}
}
