package main

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/barman-go/barman/sdk/hook"
	"github.com/barman-go/barman/sdk/plugintest"
	"github.com/barman-go/barman/sdk/schema"
)

func TestConformance(t *testing.T) {
	binary := filepath.Join(t.TempDir(), definition().Executable())
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ev := func(code string) hook.Event {
		return hook.Event{
			Name: hook.EventBackup, Phase: hook.PhasePre, Backup: &hook.Backup{ID: "20250101T000000"},
			Environment: map[string]string{"CODE": code},
		}
	}
	plugintest.Run(t, binary, plugintest.WithConfig(schema.Values{"command": `exit "${CODE:-0}"`}),
		plugintest.WithHookCase(ev("0"), hook.Success), plugintest.WithHookCase(ev("1"), hook.Failure),
		plugintest.WithHookCase(ev("62"), hook.AbortContinue), plugintest.WithHookCase(ev("63"), hook.AbortStop))
}
