package plugintest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/barman-go/barman/sdk/hook"
)

type hookCase struct {
	event hook.Event
	want  hook.Outcome
}

// discard is a hook.Output.
type discard struct{}

// Line throws a line away.
func (discard) Line(string, bool) {}

func checkHook(t *testing.T, p *process) {
	c := hook.NewClient(p.conn, p.open(t))
	events, err := c.Events(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	known := []string{hook.EventBackup, hook.EventDelete, hook.EventArchive, hook.EventWALDelete, hook.EventRecovery}
	for _, e := range events {
		if !slices.Contains(known, e) {
			t.Errorf("event %q is unknown; events are %v", e, known)
		}
	}
	if len(events) == 0 {
		events = known
	}
	for _, name := range events {
		t.Run("answers event "+name, func(t *testing.T) {
			result, err := c.Run(t.Context(), sample(name), discard{})
			if err != nil {
				t.Fatal(err)
			}
			if result.Outcome < hook.Success || result.Outcome > hook.AbortStop {
				t.Errorf("outcome %d is none of the four", result.Outcome)
			}
		})
	}
	for i, x := range p.settings.hooks {
		t.Run(fmt.Sprintf("case %d", i+1), func(t *testing.T) {
			result, err := c.Run(t.Context(), x.event, discard{})
			if err != nil || result.Outcome != x.want {
				t.Errorf("the outcome is %d (%v), want %d; %v", result.Outcome, result.Err, x.want, err)
			}
		})
	}
	t.Run("can be cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.Run(ctx, sample(events[0]), discard{}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

// sample is an event as Barman sends it.
func sample(name string) hook.Event {
	ev := hook.Event{
		Op: "plugintest", Name: name, Phase: hook.PhasePost, Attempt: 1,
		Environment: map[string]string{"BARMAN_SERVER": "main", "BARMAN_PHASE": hook.PhasePost, "BARMAN_VERSION": "3.17.0"},
	}
	backup := hook.Backup{ID: "20260101T000000", Status: "DONE", Directory: "/nonexistent/base/20260101T000000"}
	switch name {
	case hook.EventArchive, hook.EventWALDelete:
		ev.WAL = &hook.WAL{Name: "000000010000000000000001", File: "/nonexistent/000000010000000000000001", Size: segment}
	case hook.EventRecovery:
		ev.Recovery = &hook.Recovery{Backup: backup, Destination: "/nonexistent/pgdata", OptionsJSON: "{}"}
	default:
		ev.Backup = &backup
	}
	return ev
}
