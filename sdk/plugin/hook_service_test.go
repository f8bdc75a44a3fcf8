package plugin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/hook"
)

// answering is a hook that answers as it is told.
type answering struct {
	result hook.Result
	got    hook.Event
	lines  []string
	held   chan struct{}
}

func (*answering) Events() []string { return []string{hook.EventBackup, hook.EventRecovery} }

func (a *answering) Run(ctx context.Context, ev hook.Event, out hook.Output) hook.Result {
	a.got = ev
	for i, l := range a.lines {
		out.Line(l, i%2 == 1)
	}
	if a.held != nil {
		close(a.held)
		<-ctx.Done()
	}
	return a.result
}

type output []string

func (o *output) Line(text string, warning bool) {
	*o = append(*o, fmt.Sprintf("%v %s", warning, text))
}

func newAnswering(t *testing.T, a *answering) *hook.Client {
	t.Helper()
	conn := dial(t, Definition{Hook: func(context.Context, Env) (hook.Hook, error) { return a, nil }})
	return hook.NewClient(conn, openOn(t, conn, nil))
}

func TestOutcomesCrossTheWire(t *testing.T) {
	why := diag.Diagnostic{Severity: diag.Error, Summary: "no answer", Detail: "from the server", Code: diag.CodeConnectionFailed}
	for _, c := range []struct{ given, want hook.Result }{
		{hook.Result{Outcome: hook.Success}, hook.Result{Outcome: hook.Success}},
		{hook.Result{Outcome: hook.Failure, ExitCode: 3, Err: why}, hook.Result{Outcome: hook.Failure, ExitCode: 3, Err: why}},
		{hook.Result{Outcome: hook.AbortContinue, ExitCode: 62}, hook.Result{Outcome: hook.AbortContinue, ExitCode: 62}},
		{hook.Result{Outcome: hook.AbortStop, ExitCode: 63}, hook.Result{Outcome: hook.AbortStop, ExitCode: 63}},
		// Forgotten and unknown outcomes are not success.
		{hook.Result{}, hook.Result{Outcome: hook.Failure}},
		{hook.Result{Outcome: 77}, hook.Result{Outcome: hook.Failure}},
	} {
		got, err := newAnswering(t, &answering{result: c.given}).Run(t.Context(), hook.Event{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Error(d)
		}
	}
}

func TestEventsCrossTheWire(t *testing.T) {
	env := map[string]string{"BARMAN_PHASE": "pre", "BARMAN_SERVER": "main"}
	backup := hook.Backup{ID: "b", PreviousID: "a", NextID: "c", Status: "DONE", Directory: "/d", Error: "e"}
	for _, ev := range []hook.Event{
		{Op: "1", Name: hook.EventBackup, Phase: hook.PhasePre, Retry: true, Attempt: 2, Environment: env, Backup: &backup},
		{Op: "2", Name: hook.EventArchive, Phase: hook.PhasePost, Attempt: 1, Environment: env, WAL: &hook.WAL{
			Name: "n", File: "/f", Size: 16 << 20, Timestamp: 1.25, Compression: "gzip", Error: "e",
		}},
		{Op: "3", Name: hook.EventRecovery, Environment: env, Recovery: &hook.Recovery{
			Backup: backup, Destination: "/d", Tablespaces: map[string]string{"t": "/t"}, RemoteCommand: "ssh x", OptionsJSON: "{}",
		}},
	} {
		a := &answering{result: hook.Result{Outcome: hook.Success}}
		if _, err := newAnswering(t, a).Run(t.Context(), ev, nil); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(ev, a.got); d != "" {
			t.Error(d)
		}
	}
}

func TestHookOutputComesInOrderAndBeforeTheResult(t *testing.T) {
	a := &answering{result: hook.Result{Outcome: hook.Success}, lines: []string{"one", "two", strings.Repeat("x", maxFile+1)}}
	c := newAnswering(t, a)
	var got output
	if _, err := c.Run(t.Context(), hook.Event{}, &got); err != nil {
		t.Fatal(err)
	}
	want := output{"false one", "true two", "false " + strings.Repeat("x", maxFile) + "…"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	events, err := c.Events(t.Context())
	if d := cmp.Diff(a.Events(), events); d != "" || err != nil {
		t.Error(d, err)
	}
}

func TestCancelEndsOnlyTheCallsOfItsOperation(t *testing.T) {
	one := &answering{result: hook.Result{Outcome: hook.Success}, held: make(chan struct{})}
	c := newAnswering(t, one)
	ctx, cancel := context.WithCancel(t.Context())
	other := make(chan error, 1)
	go func() {
		<-one.held
		one.held = nil
		_, err := c.Run(t.Context(), hook.Event{Op: "other"}, nil)
		other <- err
		cancel()
	}()
	if _, err := c.Run(ctx, hook.Event{Op: "held"}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := <-other; err != nil {
		t.Errorf("the other operation: %v", err)
	}
}
