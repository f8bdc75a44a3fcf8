package conformance

import (
	"path/filepath"
	"testing"

	"github.com/barman-go/barman/core/pluginhost"
	"github.com/barman-go/barman/sdk/hook"
	"github.com/barman-go/barman/sdk/plugin"
	"github.com/barman-go/barman/sdk/plugintest"
	"github.com/barman-go/barman/sdk/schema"
	"github.com/barman-go/barman/test/lab"
)

// options are what a plugin needs to be opened, by the directory of its package.
var options = map[string][]plugintest.Option{
	"compress/custom": {plugintest.WithConfig(schema.Values{
		"compression_filter": "gzip -c", "decompression_filter": "gzip -cd", "magic": "0x1f8b08",
	})},
	"hooks/script": {
		plugintest.WithConfig(schema.Values{"command": "exit ${EXIT_WITH:-0}"}),
		plugintest.WithHookCase(exitWith("0"), hook.Success),
		plugintest.WithHookCase(exitWith("1"), hook.Failure),
		plugintest.WithHookCase(exitWith("62"), hook.AbortContinue),
		plugintest.WithHookCase(exitWith("63"), hook.AbortStop),
	},
}

func exitWith(code string) hook.Event {
	return hook.Event{
		Name: hook.EventBackup, Phase: hook.PhasePre, Retry: true, Attempt: 1, Backup: &hook.Backup{},
		Environment: map[string]string{"EXIT_WITH": code},
	}
}

// typeOf is the type of the plugins in each directory.
var typeOf = map[string]string{
	"compress": plugin.TypeCompress, "transfer": plugin.TypeTransfer, "hooks": plugin.TypeHook,
}

// TestBundledPlugins finds the plugins by itself, so that a new one cannot be forgotten.
func TestBundledPlugins(t *testing.T) {
	root := filepath.Join("..", "..", "plugins")
	mains, err := filepath.Glob(filepath.Join(root, "*", "*", "main.go"))
	if err != nil || len(mains) == 0 {
		t.Fatalf("no plugins below %s: %v", root, err)
	}
	build := lab.BuildBinaries(t)
	for _, main := range mains {
		dir, err := filepath.Rel(root, filepath.Dir(main))
		if err != nil {
			t.Fatal(err)
		}
		t.Run(dir, func(t *testing.T) {
			kind, name := filepath.Split(dir)
			executable := plugin.ExecutableName(typeOf[filepath.Clean(kind)], name)
			plugintest.Run(t, filepath.Join(build.Plugins, executable), options[dir]...)
		})
	}
}

// TestOtherNamesOfPlugins has the host start each executable under the names that links give it.
func TestOtherNamesOfPlugins(t *testing.T) {
	build := lab.BuildBinaries(t)
	host := pluginhost.New(pluginhost.Options{BundledDir: build.Plugins, SearchPath: []string{}, TempDir: lab.ScratchDir(t)})
	t.Cleanup(func() {
		if err := host.Close(); err != nil {
			t.Error(err)
		}
	})
	for name, target := range map[string]string{"pigz": "gzip", "pygzip": "gzip", "pybzip2": "bzip2"} {
		entry, err := host.Verify(t.Context(), plugin.TypeCompress, name, pluginhost.Use{})
		if err != nil {
			t.Error(err)
			continue
		}
		want := filepath.Join(build.Plugins, plugin.ExecutableName(plugin.TypeCompress, target))
		if entry.Status != pluginhost.InForce || entry.RealPath != want {
			t.Errorf("%s is %s and leads to %s, want %s", name, entry.Status, entry.RealPath, want)
		}
	}
}
