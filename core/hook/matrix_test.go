package hook

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	sdkhook "github.com/barman-go/barman/sdk/hook"
)

// ending is how one run of a hook ends.
type ending func(context.Context) (sdkhook.Result, error)

func exits(outcome sdkhook.Outcome, code int) ending {
	return func(context.Context) (sdkhook.Result, error) {
		return sdkhook.Result{Outcome: outcome, ExitCode: code}, nil
	}
}

// endings are all ways in which a hook can end, and what they mean to a retry hook.
var endings = map[string]struct {
	end           ending
	repeats, stop bool
}{
	"0":                {end: exits(sdkhook.Success, 0)},
	"62":               {end: exits(sdkhook.AbortContinue, 62)},
	"63":               {end: exits(sdkhook.AbortStop, 63), stop: true},
	"1":                {end: exits(sdkhook.Failure, 1), repeats: true},
	"a signal":         {end: exits(sdkhook.Failure, -1), repeats: true},
	"a crashed plugin": {end: func(context.Context) (sdkhook.Result, error) { return sdkhook.Result{}, errors.New("killed") }, repeats: true},
	"a timeout":        {end: func(ctx context.Context) (sdkhook.Result, error) { <-ctx.Done(); return noAnswer(ctx) }, repeats: true},
}

// recorder is the plugin of all twenty hooks: it writes down what it is asked for, and ends as it is told the first time.
type recorder struct {
	end    ending
	events []sdkhook.Event
}

func (r *recorder) Run(ctx context.Context, ev sdkhook.Event, _ sdkhook.Output) (sdkhook.Result, error) {
	if r.events = append(r.events, ev); len(r.events) == 1 {
		return r.end(ctx)
	}
	return sdkhook.Result{Outcome: sdkhook.Success}, nil
}

// emptyEvent is an event of which nothing is known.
func emptyEvent(name string) Event {
	return map[string]Event{
		"backup": BackupEvent(Backup{}), "delete": DeleteEvent(Backup{}), "archive": ArchiveEvent(WAL{}),
		"wal_delete": WALDeleteEvent(WAL{}), "recovery": RecoveryEvent(Recovery{}),
	}[name]
}

// fire runs the hooks of one phase around an event; the error is that of the phase pre.
func fire(t *testing.T, s *Set, h Hook) error {
	if h.Phase == sdkhook.PhasePre {
		return s.Pre(t.Context(), emptyEvent(h.Event))
	}
	s.Post(t.Context(), emptyEvent(h.Event))
	return nil
}

// theTwenty returns the hooks of all script options, run by one plugin.
func theTwenty(plugin Runner) []Hook {
	return Scripts(func(option string) string { return "/" + option }, func(string) Opener {
		return func(context.Context) (Runner, error) { return plugin, nil }
	})
}

func TestEveryHookEndsInEveryWay(t *testing.T) {
	for _, h := range theTwenty(nil) {
		for name, c := range endings {
			plugin := &recorder{end: c.end}
			h.Timeout = time.Millisecond
			if name != "a timeout" {
				h.Timeout = 0
			}
			h.Open = func(context.Context) (Runner, error) { return plugin, nil }
			pauses := 0
			s := NewSet(Options{Sleep: func(context.Context, time.Duration) error { pauses++; return nil }}, []Hook{h})
			err := fire(t, s, h)
			wantRuns := 1
			if c.repeats && h.Retry {
				wantRuns = 2
			}
			if len(plugin.events) != wantRuns || pauses != wantRuns-1 {
				t.Errorf("%s ends with %s: %d runs, %d pauses; want %d runs", h.option(), name, len(plugin.events), pauses, wantRuns)
			}
			if !c.stop || !h.Retry || h.Phase == sdkhook.PhasePost {
				if err != nil {
					t.Errorf("%s ends with %s: error %v", h.option(), name, err)
				}
				continue
			}
			want := fmt.Sprintf("Abort '%s' retry hook script (/%[1]s, exit code: 63)", h.option())
			if err == nil || err.Error() != want {
				t.Errorf("%s ends with %s: error %v, want %s", h.option(), name, err, want)
			}
		}
	}
}

func TestEveryHookHasTheVariablesOfItsGroup(t *testing.T) {
	always := strings.Fields("BARMAN_CONFIGURATION BARMAN_ERROR BARMAN_HOOK BARMAN_PHASE BARMAN_RETRY BARMAN_SERVER BARMAN_VERSION")
	backup := strings.Fields("BARMAN_BACKUP_DIR BARMAN_BACKUP_ID BARMAN_BACKUP_INFO_PATH BARMAN_NEXT_ID BARMAN_PREVIOUS_ID BARMAN_STATUS")
	wal := strings.Fields("BARMAN_COMPRESSION BARMAN_FILE BARMAN_SEGMENT BARMAN_SIZE BARMAN_TIMESTAMP")
	recovery := strings.Fields("BARMAN_DESTINATION_DIRECTORY BARMAN_RECOVER_OPTIONS BARMAN_REMOTE_COMMAND BARMAN_TABLESPACES")
	groups := map[string][]string{
		"backup": backup, "delete": backup, "archive": wal, "wal_delete": wal, "recovery": slices.Concat(backup, recovery),
	}
	for _, h := range theTwenty(nil) {
		plugin := &recorder{end: exits(sdkhook.Success, 0)}
		h.Open = func(context.Context) (Runner, error) { return plugin, nil }
		s := NewSet(Options{Version: "3.17.0", Server: "main", Configuration: "barman.hcl"}, []Hook{h})
		if err := fire(t, s, h); err != nil {
			t.Fatal(err)
		}
		env := plugin.events[0].Environment
		want := slices.Sorted(slices.Values(slices.Concat(always, groups[h.Event])))
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(env))); diff != "" {
			t.Errorf("%s: variables (-want +got):\n%s", h.option(), diff)
		}
		retry := map[bool]string{false: "0", true: "1"}[h.Retry]
		named := strings.TrimPrefix(h.option(), h.Phase+"_")
		if env["BARMAN_HOOK"] != named || env["BARMAN_PHASE"] != h.Phase || env["BARMAN_RETRY"] != retry || env["BARMAN_ERROR"] != "" {
			t.Errorf("%s: %v", h.option(), env)
		}
	}
}
