package examples

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/core/hook"
	"github.com/barman-go/barman/core/pluginhost"
	"github.com/barman-go/barman/sdk/compress"
	sdkhook "github.com/barman-go/barman/sdk/hook"
	"github.com/barman-go/barman/sdk/plugintest"
	"github.com/barman-go/barman/sdk/schema"
)

func TestCompressorWithItsOwnModule(t *testing.T) {
	prefix := t.TempDir()
	buildCompressor(t, filepath.Join(prefix, "barman-compress-flate"))
	client, err := newHost(t).Compressor(t.Context(), "flate", pluginhost.Use{Server: "main", PathPrefix: []string{prefix}})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	plain, encoded, decoded := filepath.Join(dir, "plain"), filepath.Join(dir, "encoded"), filepath.Join(dir, "decoded")
	content := bytes.Repeat([]byte("write-ahead log "), 1<<20)
	if err := os.WriteFile(plain, content, 0o600); err != nil {
		t.Fatal(err)
	}
	done, err := client.CompressFile(t.Context(), compress.FileRequest{
		Source: plain, Destination: encoded, Options: compress.Options{Format: "flate", Level: 6},
	})
	if err != nil {
		t.Fatal(err)
	}
	undone, err := client.DecompressFile(t.Context(), compress.FileRequest{
		Source: encoded, Destination: decoded, Options: compress.Options{Format: "flate"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(done, undone); diff != "" || done.PlainBytes != int64(len(content)) {
		t.Errorf("measures of both ways (-compress +decompress):\n%s", diff)
	}
	if got, err := os.ReadFile(decoded); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes back, %v; want %d", len(got), err, len(content))
	}
}

func TestConformance(t *testing.T) {
	t.Run("compressor", func(t *testing.T) {
		binary := filepath.Join(t.TempDir(), "barman-compress-flate")
		buildCompressor(t, binary)
		plugintest.Run(t, binary)
	})
	t.Run("hook", func(t *testing.T) {
		prefix := buildJournal(t)
		plugintest.Run(t, filepath.Join(prefix, "barman-hook-journal"), plugintest.WithoutDescribe(),
			plugintest.WithConfig(schema.Values{"file": filepath.Join(prefix, "journal")}))
	})
}

// buildCompressor builds a copy, as the go command may write to go.mod and go.sum, which must stay as they are.
func buildCompressor(t *testing.T, executable string) {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(t.TempDir(), "source")
	if err := os.CopyFS(source, os.DirFS("compress-plugin")); err != nil {
		t.Fatal(err)
	}
	module, err := os.ReadFile(filepath.Join(source, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	module = bytes.ReplaceAll(module, []byte("=> ../.."), []byte("=> "+root))
	if err := os.WriteFile(filepath.Join(source, "go.mod"), module, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, source, "go", "build", "-mod=mod", "-o", executable, ".")
}

func TestHookInPython(t *testing.T) {
	prefix := buildJournal(t)
	journal := filepath.Join(t.TempDir(), "journal")
	host := newHost(t)
	open := func(ctx context.Context) (hook.Runner, error) {
		return host.Hook(ctx, "journal", journalUse(prefix, journal))
	}
	set := hook.NewSet(hook.Options{Version: "3.17.0", Server: "main", Configuration: "/etc/barman.hcl"}, []hook.Hook{
		{Event: sdkhook.EventBackup, Phase: sdkhook.PhasePre, Title: "journal", Open: open},
		{Event: sdkhook.EventBackup, Phase: sdkhook.PhasePost, Retry: true, Title: "journal", Open: open},
	})
	ev := hook.BackupEvent(hook.Backup{Backup: sdkhook.Backup{ID: "20250101T000000", Status: "DONE"}})
	if err := set.Pre(t.Context(), ev); err != nil {
		t.Fatal(err)
	}
	set.Post(t.Context(), ev)

	text, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	type entry struct {
		Server, Event, Phase string
		Retry                bool
		Attempt              int
		Environment          map[string]string
	}
	var got []entry
	for line := range strings.Lines(string(text)) {
		var e entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if e.Environment["BARMAN_BACKUP_ID"] != "20250101T000000" || e.Environment["BARMAN_PHASE"] != e.Phase {
			t.Errorf("environment %v", e.Environment)
		}
		e.Environment = nil
		got = append(got, e)
	}
	want := []entry{
		{Server: "main", Event: "backup", Phase: "pre", Attempt: 1},
		{Server: "main", Event: "backup", Phase: "post", Retry: true, Attempt: 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("journal (-want +got):\n%s", diff)
	}
}

func TestHookInPythonReportsMistakesAndFailures(t *testing.T) {
	prefix := buildJournal(t)
	host := newHost(t)
	if _, err := host.Hook(t.Context(), "journal", journalUse(prefix, "relative")); err == nil ||
		!strings.Contains(err.Error(), "not an absolute path") {
		t.Errorf("a relative path: error %v", err)
	}
	client, err := host.Hook(t.Context(), "journal", journalUse(prefix, filepath.Join(t.TempDir(), "no", "such", "directory")))
	if err != nil {
		t.Fatal(err)
	}
	result, err := client.Run(t.Context(), sdkhook.Event{Name: "backup", Phase: "pre", Backup: &sdkhook.Backup{}}, nil)
	if err != nil || result.Outcome != sdkhook.Failure || !strings.Contains(result.Err.Error(), "No such file or directory") {
		t.Errorf("result %+v, error %v; want a failure that names the reason", result, err)
	}
}

// buildJournal installs the Python hook as its README says.
func buildJournal(t *testing.T) (prefix string) {
	t.Helper()
	if exec.Command("/usr/bin/python3", "-c", "import grpc, google.protobuf").Run() != nil {
		t.Skip("needs python3-grpcio and python3-protobuf: apt-get install python3-grpcio python3-protobuf")
	}
	for _, tool := range []string{"protoc", "make"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s: apt-get install protobuf-compiler make", tool)
		}
	}
	prefix = t.TempDir()
	for _, name := range []string{"barman-hook-journal", "Makefile"} {
		content, err := os.ReadFile(filepath.Join("hook-python", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(prefix, name), content, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	proto, err := filepath.Abs("../sdk/proto")
	if err != nil {
		t.Fatal(err)
	}
	run(t, prefix, "make", "PROTO="+proto)
	return prefix
}

func journalUse(prefix, journal string) pluginhost.Use {
	return pluginhost.Use{
		Server: "main", PathPrefix: []string{prefix},
		Decode: func(schema.Schema) (schema.Values, error) { return schema.Values{"file": journal}, nil },
	}
}

func newHost(t *testing.T) *pluginhost.Host {
	t.Helper()
	host := pluginhost.New(pluginhost.Options{SearchPath: []string{}})
	t.Cleanup(func() {
		if err := host.Close(); err != nil {
			t.Error(err)
		}
	})
	return host
}

func run(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}
