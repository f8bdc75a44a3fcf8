package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/barman-go/barman/test/e2e/backuphost"
)

// TestPluginsOfOtherPeople builds the two examples as their READMEs say, puts them on path_prefix, and uses them in a real archive and
// a real backup: a compressor with a Go module of its own, and a hook in Python.
func TestPluginsOfOtherPeople(t *testing.T) {
	host := backuphost.New(t)
	prefix := filepath.Join(host.Dir, "acme")
	host.MakeDir(t, prefix)
	buildCompressor(t, prefix)
	buildJournal(t, prefix)
	journal := filepath.Join(host.Dir, "journal")

	primary := startPrimary(t, host.ArchiveCommand(t, "main"))
	options := localServer(primary, map[string]any{
		"compression": "flate", "compression_level": "high", "path_prefix": []string{prefix, filepath.Dir(pgTool(t, "postgres"))},
	})
	hook := "  hook \"post_backup\" \"journal\" {\n    config {\n      file = \"" + journal + "\"\n    }\n  }"
	host.Configure(t, backuphost.Server("main", options, hook))
	host.Must(t, "config", "validate")

	mark(t, primary, "one")
	host.Must(t, "switch-wal", "--force", "--archive", "main")
	host.Must(t, "backup", "--wait", "main")
	backup := host.Latest(t, "main")
	mark(t, primary, "two")
	host.Must(t, "switch-wal", "--archive", "main")

	// The archive is encoded by the Go plugin, and everything comes back.
	archived, err := os.ReadFile(filepath.Join(host.Layout("main").WALs, backup.BeginWAL.String()[:16], backup.BeginWAL.String()))
	if err != nil || !bytes.HasPrefix(archived, []byte("FLATE1")) {
		t.Errorf("the archived segment has %d bytes and begins with %q: %v", len(archived), archived[:min(len(archived), 8)], err)
	}
	host.CheckAcknowledged(t, "main", host.Acknowledged(t, "main"))
	if got := marks(t, startRestored(t, host, "latest")); got != "one two" {
		t.Errorf("marks %q", got)
	}

	// The journal has what the Python plugin was told.
	text, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	var entry struct {
		Server, Event, Phase string
		Environment          map[string]string
	}
	if err := json.Unmarshal(bytes.TrimSpace(text), &entry); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if entry.Server != "main" || entry.Event != "backup" || entry.Phase != "post" || entry.Environment["BARMAN_BACKUP_ID"] != backup.ID {
		t.Errorf("the journal says %+v", entry)
	}
}

// buildCompressor builds a copy, because the go command may write to the example's go.sum.
func buildCompressor(t *testing.T, prefix string) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(t.TempDir(), "source")
	if err := os.CopyFS(source, os.DirFS(filepath.Join(root, "examples", "compress-plugin"))); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(source, "go.mod")
	module, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.ReplaceAll(module, []byte("=> ../.."), []byte("=> "+root)), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, source, "go", "build", "-mod=mod", "-o", filepath.Join(prefix, "barman-compress-flate"), ".")
}

func buildJournal(t *testing.T, prefix string) {
	t.Helper()
	if exec.Command("/usr/bin/python3", "-c", "import grpc, google.protobuf").Run() != nil {
		t.Skip("needs python3-grpcio and python3-protobuf: apt-get install python3-grpcio python3-protobuf")
	}
	if _, err := exec.LookPath("protoc"); err != nil {
		t.Skip("needs protoc: apt-get install protobuf-compiler")
	}
	example, err := filepath.Abs("../../examples/hook-python")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"barman-hook-journal", "Makefile"} {
		run(t, prefix, "install", "-m", "0755", filepath.Join(example, name), filepath.Join(prefix, name))
	}
	proto, err := filepath.Abs("../../sdk/proto")
	if err != nil {
		t.Fatal(err)
	}
	run(t, prefix, "make", "PROTO="+proto)
}

func run(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// listed is a line of plugin list.
type listed struct{ Type, Name, Version, Path, Status, Origin, Reason string }

func pluginList(t *testing.T, host *backuphost.Host, args ...string) []listed {
	t.Helper()
	var doc struct{ Plugins []listed }
	host.JSON(t, &doc, append([]string{"plugin", "list"}, args...)...)
	return doc.Plugins
}

// TestAnEarlierPluginReplacesABundledOne puts another zstd in front of the bundled one, and a gzip that nobody may trust. plugin list
// tells which one is in force and why the others are not, and the archive is written by the one in force.
func TestAnEarlierPluginReplacesABundledOne(t *testing.T) {
	host := backuphost.New(t)
	prefix := filepath.Join(host.Dir, "acme")
	host.MakeDir(t, prefix)
	mine, shadowed := filepath.Join(prefix, "barman-compress-zstd"), filepath.Join(host.Build.Plugins, "barman-compress-zstd")
	untrusted := filepath.Join(prefix, "barman-compress-gzip")
	run(t, prefix, "install", "-m", "0755", shadowed, mine)
	run(t, prefix, "install", "-m", "0777", filepath.Join(host.Build.Plugins, "barman-compress-gzip"), untrusted)

	primary := startPrimary(t, host.ArchiveCommand(t, "main"))
	configure := func(compression string) {
		host.Configure(t, backuphost.Server("main", localServer(primary, map[string]any{
			"compression": compression, "path_prefix": []string{prefix, filepath.Dir(pgTool(t, "postgres"))},
		})))
	}
	configure("zstd")
	find := func(path string) listed {
		for _, p := range pluginList(t, host, "--server", "main") {
			if p.Path == path {
				return p
			}
		}
		t.Fatalf("plugin list does not have %s", path)
		return listed{}
	}
	if p := find(mine); p.Status != "in force" || p.Type != "compress" || p.Name != "zstd" || p.Version == "" {
		t.Errorf("the replacement: %+v", p)
	}
	if p := find(shadowed); p.Status != "shadowed" || !strings.Contains(p.Reason, mine) {
		t.Errorf("the bundled plugin: %+v", p)
	}
	if p := find(untrusted); p.Status != "rejected" || !strings.Contains(p.Reason, "writable by others") {
		t.Errorf("the plugin that everybody can change: %+v", p)
	}
	if p := find(filepath.Join(host.Build.Plugins, "barman-compress-gzip")); p.Status != "in force" {
		t.Errorf("the bundled gzip behind an untrusted one: %+v", p)
	}
	table := host.Must(t, "plugin", "list", "--server", "main")
	for _, want := range []string{"TYPE", "VERSION", "in force", "shadowed", "rejected", mine, shadowed, untrusted, "writable by others"} {
		if !strings.Contains(table, want) {
			t.Errorf("plugin list does not show %q:\n%s", want, table)
		}
	}

	host.Must(t, "switch-wal", "--force", "--archive", "main")
	host.CheckAcknowledged(t, "main", host.Acknowledged(t, "main"))
	// It is the replacement that does the work: when it stops working, so does archiving, until it is taken away.
	host.WriteFile(t, mine, "#!/bin/sh\necho I am the replacement >&2\nexit 9\n", 0o755)
	name, _ := newSegment(t, primary)
	if err := waitArchived(t.Context(), primary, name); err != nil {
		t.Fatal(err)
	}
	host.Refused(t, 1, []string{mine, "I am the replacement"}, "archive-wal", "main")
	if err := os.Remove(mine); err != nil {
		t.Fatal(err)
	}
	if p := find(shadowed); p.Status != "in force" {
		t.Errorf("without the replacement: %+v", p)
	}
	host.Must(t, "archive-wal", "main")
	host.CheckAcknowledged(t, "main", host.Acknowledged(t, "main"))
}

// TestPluginThatDiesInTheMiddle archives with a compressor that is killed while it works: the error names it, the WAL stays where it
// is, and is archived once there is a compressor that works.
func TestPluginThatDiesInTheMiddle(t *testing.T) {
	host := backuphost.New(t)
	prefix := filepath.Join(host.Dir, "acme")
	host.MakeDir(t, prefix)
	plugin := filepath.Join(prefix, "barman-compress-fault")
	source, err := filepath.Abs("../faultplugin")
	if err != nil {
		t.Fatal(err)
	}
	run(t, source, "go", "build", "-o", plugin, ".")
	primary := startPrimary(t, host.ArchiveCommand(t, "main"))
	for _, fault := range []struct{ name, says string }{{"kill", "killed"}, {"panic", "told to panic"}, {"exit", "giving up"}} {
		t.Run(fault.name, func(t *testing.T) {
			block := "  plugin \"compress\" \"fault\" {\n    config {\n      fault = \"" + fault.name + "\"\n    }\n  }"
			host.Configure(t, backuphost.Server("main", localServer(primary, map[string]any{
				"compression": "fault", "path_prefix": []string{prefix},
			}), block))
			name, content := newSegment(t, primary)
			if err := waitArchived(t.Context(), primary, name); err != nil {
				t.Fatal(err)
			}
			r := host.Barman(t, "archive-wal", "main")
			text := r.Stdout + r.Stderr
			if r.Exit != 1 || !strings.Contains(text, plugin) || !strings.Contains(text, fault.says) || strings.Contains(text, "rpc error") {
				t.Errorf("exit code %d\n%s", r.Exit, text)
			}
			if got, err := os.ReadFile(filepath.Join(host.Layout("main").Incoming, name)); err != nil || !bytes.Equal(got, content) {
				t.Errorf("the WAL is not where it was: %v", err)
			}
		})
	}
	host.Configure(t, backuphost.Server("main", localServer(primary, map[string]any{"compression": "zstd"})))
	host.Must(t, "archive-wal", "main")
	host.CheckAcknowledged(t, "main", host.Acknowledged(t, "main"))
}
