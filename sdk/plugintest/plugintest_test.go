package plugintest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/barman-go/barman/sdk/hook"
)

// The kit must pass a sound plugin of each type, and fail one that is not.

func build(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	first := filepath.Join(dir, names[0])
	if out, err := exec.Command("go", "build", "-o", first, "github.com/barman-go/barman/test/faultplugin").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range names[1:] {
		if err := os.Link(first, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestSoundPluginsPass(t *testing.T) {
	dir := build(t, "barman-compress-fault", "barman-transfer-fault", "barman-hook-fault")
	t.Run("compress", func(t *testing.T) { Run(t, filepath.Join(dir, "barman-compress-fault")) })
	t.Run("transfer", func(t *testing.T) { Run(t, filepath.Join(dir, "barman-transfer-fault")) })
	t.Run("hook", func(t *testing.T) {
		ask := func(outcome string) hook.Event {
			return hook.Event{Name: hook.EventBackup, Environment: map[string]string{"FAULT": "outcome", "OUTCOME": outcome}}
		}
		Run(t, filepath.Join(dir, "barman-hook-fault"),
			WithHookCase(ask("1"), hook.Success), WithHookCase(ask("2"), hook.Failure),
			WithHookCase(ask("3"), hook.AbortContinue), WithHookCase(ask("4"), hook.AbortStop))
	})
}

// asVictim makes the test binary run the kit over a plugin that must not pass.
const asVictim = "PLUGINTEST_VICTIM"

func TestVictim(t *testing.T) {
	binary := os.Getenv(asVictim)
	if binary == "" {
		t.Skip("runs as a child of TestUnsoundPluginsFail")
	}
	Run(t, binary)
}

func TestUnsoundPluginsFail(t *testing.T) {
	names := []string{"barman-hook-noise", "barman-hook-exit", "barman-hook-liar", "barman-hook-future", "barman-hook-tcp"}
	dir := build(t, names...)
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestVictim$")
			cmd.Env = append(os.Environ(), asVictim+"="+filepath.Join(dir, name))
			if out, err := cmd.CombinedOutput(); err == nil {
				t.Errorf("it passes:\n%s", out)
			}
		})
	}
}
