package hook

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	sdkhook "github.com/barman-go/barman/sdk/hook"
)

// hanging is a plugin whose first run ends only with its context, in the way that it is told; later ones succeed.
type hanging struct {
	end  func(context.Context) (sdkhook.Result, error)
	runs int
}

func (h *hanging) Run(ctx context.Context, _ sdkhook.Event, out sdkhook.Output) (sdkhook.Result, error) {
	if h.runs++; h.runs > 1 {
		return sdkhook.Result{Outcome: sdkhook.Success}, nil
	}
	out.Line("the last thing that it said", true)
	<-ctx.Done()
	return h.end(ctx)
}

func noAnswer(ctx context.Context) (sdkhook.Result, error) {
	return sdkhook.Result{}, context.Cause(ctx)
}

// timed makes a set of one hook that may run for a millisecond, and what it logs.
func timed(phase string, retry bool, open Opener) (*Set, *bytes.Buffer, *[]time.Duration) {
	var log bytes.Buffer
	var pauses []time.Duration
	return NewSet(Options{
		Log:   hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Debug, DisableTime: true}),
		Sleep: func(_ context.Context, d time.Duration) error { pauses = append(pauses, d); return nil },
	}, []Hook{{Event: "backup", Phase: phase, Retry: retry, Timeout: time.Millisecond, Title: "webhook", Open: open}}), &log, &pauses
}

func TestHookThatRunsTooLongHasFailed(t *testing.T) {
	ends := map[string]func(context.Context) (sdkhook.Result, error){
		"the call was cancelled": noAnswer,
		"the plugin says that it failed": func(context.Context) (sdkhook.Result, error) {
			return sdkhook.Result{Outcome: sdkhook.Failure, Err: errors.New("interrupted")}, nil
		},
	}
	for name, end := range ends {
		for _, phase := range []string{"pre", "post"} {
			for _, retry := range []bool{false, true} {
				plugin := &hanging{end: end}
				s, log, pauses := timed(phase, retry, func(context.Context) (Runner, error) { return plugin, nil })
				if err := s.Pre(t.Context(), BackupEvent(Backup{})); err != nil {
					t.Errorf("%s, %s, retry %v: error %v", name, phase, retry, err)
				}
				s.Post(t.Context(), BackupEvent(Backup{}))
				wantRuns, wantPauses := 1, 0
				if retry {
					wantRuns, wantPauses = 2, 1
				}
				if plugin.runs != wantRuns || len(*pauses) != wantPauses {
					t.Errorf("%s, %s, retry %v: %d runs, pauses %v", name, phase, retry, plugin.runs, *pauses)
				}
				for _, want := range []string{"[WARN]  webhook was stopped after its timeout of 1ms", "the last thing that it said"} {
					if !strings.Contains(log.String(), want) {
						t.Errorf("%s, %s, retry %v: the log lacks %q:\n%s", name, phase, retry, want, log)
					}
				}
			}
		}
	}
}

func TestAnAnswerInTheLastMomentCounts(t *testing.T) {
	for _, outcome := range []sdkhook.Outcome{sdkhook.Success, sdkhook.AbortContinue, sdkhook.AbortStop} {
		plugin := &hanging{end: func(context.Context) (sdkhook.Result, error) { return sdkhook.Result{Outcome: outcome}, nil }}
		s, log, _ := timed("pre", true, func(context.Context) (Runner, error) { return plugin, nil })
		err := s.Pre(t.Context(), BackupEvent(Backup{}))
		if stopped := err != nil; stopped != (outcome == sdkhook.AbortStop) || plugin.runs != 1 {
			t.Errorf("outcome %d: error %v after %d runs\n%s", outcome, err, plugin.runs, log)
		}
	}
}

func TestInterruptionIsNoTimeout(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	plugin := &hanging{end: func(ended context.Context) (sdkhook.Result, error) { cancel(); return noAnswer(ended) }}
	s, log, _ := timed("pre", true, func(context.Context) (Runner, error) { return plugin, nil })
	if err := s.Pre(ctx, BackupEvent(Backup{})); !errors.Is(err, context.Canceled) || strings.Contains(log.String(), "timeout") {
		t.Errorf("error %v, want context.Canceled\n%s", err, log)
	}
}

func TestPluginThatDoesNotOpenInTime(t *testing.T) {
	for _, retry := range []bool{false, true} {
		s, log, _ := timed("pre", retry, func(ctx context.Context) (Runner, error) {
			<-ctx.Done()
			return nil, errors.New("rpc error")
		})
		err := s.Pre(t.Context(), BackupEvent(Backup{}))
		const text = "webhook): stopped after its timeout of 1ms"
		var timeout *TimeoutError
		if stopped := errors.As(err, &timeout); stopped != retry || stopped && !strings.Contains(err.Error(), text) {
			t.Errorf("retry %v: error %v", retry, err)
		}
		if !retry && !strings.Contains(log.String(), text) {
			t.Errorf("the log lacks %q:\n%s", text, log)
		}
	}
}

func TestScriptsHaveNoTimeout(t *testing.T) {
	for _, h := range Scripts(func(string) string { return "true" }, func(string) Opener { return nil }) {
		if diff := cmp.Diff(time.Duration(0), h.Timeout); diff != "" {
			t.Errorf("%s (-want +got):\n%s", h.option(), diff)
		}
	}
}
