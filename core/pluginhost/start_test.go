package pluginhost

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/hook"
	"github.com/barman-go/barman/sdk/schema"
)

func TestStartErrorsSayWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		name string
		want []string
	}{
		{"exit", []string{"did not start: it ended before it was ready: exit status 3", "| cannot read my licence file"}},
		{"crash", []string{"it crashed: no licence, no service"}},
		{"mute", []string{"it was not ready after 300ms"}},
		{"liar", []string{`it says that it is the hook plugin "fault"`, "barman-hook-fault"}},
		{"future", []string{"it speaks another protocol version than 1"}},
		{"tcp", []string{"it listens on tcp 127.0.0.1:9, not on a unix socket"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := install(t, "barman-hook-"+c.name)
			timeout := time.Duration(0)
			if c.name == "mute" {
				timeout = 300 * time.Millisecond
			}
			h, _ := newHost(t, Options{BundledDir: dir, StartTimeout: timeout})
			_, err := h.Hook(t.Context(), c.name, Use{})
			var start *StartError
			if !errors.As(err, &start) {
				t.Fatalf("got %v", err)
			}
			for _, want := range append(c.want, "hook/"+c.name, dir) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is missing in: %v", want, err)
				}
			}
			for _, never := range []string{"goroutine", "rpc error", "Unrecognized"} {
				if strings.Contains(err.Error(), never) {
					t.Errorf("not for people: %v", err)
				}
			}
			if h.run != nil {
				if left, _ := os.ReadDir(h.run.path); len(left) != 0 {
					t.Errorf("the failed start left %v", left)
				}
			}
		})
	}
}

func TestFileThatIsNoProgramDoesNotStart(t *testing.T) {
	dir := install(t)
	if err := os.WriteFile(filepath.Join(dir, "barman-hook-text"), []byte("just text"), 0o755); err != nil {
		t.Fatal(err)
	}
	h, _ := newHost(t, Options{BundledDir: dir})
	_, err := h.Hook(t.Context(), "text", Use{})
	var start *StartError
	if !errors.As(err, &start) || !strings.Contains(err.Error(), "exec format error") {
		t.Errorf("got %v", err)
	}
}

func TestScriptIsExecutedThroughItsDescriptor(t *testing.T) {
	dir := install(t, "barman-hook-fault")
	// Its interpreter must be able to open it although the host executes a descriptor.
	script := "#!/bin/sh\nexec " + filepath.Join(dir, "barman-hook-fault") + "\n"
	other := install(t)
	if err := os.WriteFile(filepath.Join(other, "barman-hook-fault"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	h, _ := newHost(t, Options{BundledDir: other})
	if _, _, err := runHook(t, h, nil); err != nil {
		t.Error(err)
	}
}

func TestCancelledStartEndsTheProcess(t *testing.T) {
	h, _ := newHost(t, Options{BundledDir: install(t, "barman-hook-mute")})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := h.Hook(ctx, "mute", Use{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if got := children(t, os.Getpid()); len(got) != 0 {
		t.Errorf("children left: %v", got)
	}
}

func TestOneProcessServesAllServers(t *testing.T) {
	dir := install(t, "barman-hook-fault", "barman-compress-fault")
	h, _ := newHost(t, Options{BundledDir: dir, GlobalPathPrefix: []string{"/opt/global"}})
	for _, server := range []string{"one", "two"} {
		c, err := h.Hook(t.Context(), "fault", Use{
			Server: server, PathPrefix: []string{"/opt/" + server}, Decode: config(schema.Values{"token": "t-" + server}),
		})
		if err != nil {
			t.Fatal(err)
		}
		out := &lines{}
		if _, err := c.Run(t.Context(), hook.Event{Environment: map[string]string{"FAULT": "open"}}, out); err != nil {
			t.Fatal(err)
		}
		work := out.text[1]
		if info, err := os.Stat(work); err != nil || info.Mode().Perm() != 0o700 || filepath.Dir(work) != h.run.path {
			t.Errorf("work directory %s: %v, %v", work, info, err)
		}
		want := []string{server, work, "/opt/" + server + ":/opt/global", "t-" + server}
		if d := cmp.Diff(want, out.text); d != "" {
			t.Error(d)
		}
	}
	if got := children(t, os.Getpid()); len(got) != 1 {
		t.Errorf("want one process, found %v", got)
	}
}

func TestTimersOfAPluginMayBeLate(t *testing.T) {
	h, _ := newHost(t, Options{BundledDir: install(t, "barman-hook-fault")})
	c, err := h.Hook(t.Context(), "fault", Use{Server: "one"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Run(t.Context(), hook.Event{Environment: map[string]string{"FAULT": "open"}}, &lines{}); err != nil {
		t.Fatal(err)
	}
	slack, err := os.ReadFile("/proc/" + children(t, os.Getpid())[0] + "/timerslack_ns")
	if err != nil {
		t.Fatal(err)
	}
	if want := strconv.Itoa(int(timerSlack)); strings.TrimSpace(string(slack)) != want {
		t.Errorf("timer slack %q ns, want %s", slack, want)
	}
}

func TestNothingStartsBeforeItIsUsed(t *testing.T) {
	h, _ := newHost(t, Options{BundledDir: install(t, "barman-hook-fault")})
	if got, left := children(t, os.Getpid()), h.run; len(got) != 0 || left != nil {
		t.Errorf("processes %v, run directory %v", got, left)
	}
}

func TestClosedInstanceIsOpenedAgain(t *testing.T) {
	h, _ := newHost(t, Options{BundledDir: install(t, "barman-hook-fault")})
	c, err := h.Hook(t.Context(), "fault", Use{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if _, err := c.Run(t.Context(), hook.Event{}, nil); err != nil {
		t.Error(err)
	}
}

func TestClientOfClosedHostGivesAnError(t *testing.T) {
	h, _ := newHost(t, Options{BundledDir: install(t, "barman-hook-fault")})
	c, err := h.Hook(t.Context(), "fault", Use{})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Run(t.Context(), hook.Event{}, nil); !errors.Is(err, errClosed) {
		t.Errorf("got %v", err)
	}
	if _, err := h.Hook(t.Context(), "fault", Use{}); !errors.Is(err, errClosed) {
		t.Errorf("got %v", err)
	}
}

func TestBadConfigurationIsReportedByAttribute(t *testing.T) {
	h, log := newHost(t, Options{BundledDir: install(t, "barman-hook-fault")})
	for _, c := range []struct {
		name   string
		values schema.Values
		want   []string
	}{
		{"wrong type", schema.Values{"old": "many", "token": 5}, []string{"old", "token"}},
		{"unknown option", schema.Values{"colour": "red"}, []string{"colour"}},
		{"refused by the plugin", schema.Values{"fault": "refuse"}, []string{"token", "fault"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := h.Hook(t.Context(), "fault", Use{Server: "main", Decode: config(c.values)})
			var refused *ConfigError
			if !errors.As(err, &refused) {
				t.Fatalf("got %v", err)
			}
			var got []string
			for _, d := range refused.Diagnostics {
				got = append(got, d.Attribute)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			var first diag.Diagnostic
			if !errors.As(err, &first) || first.Attribute != c.want[0] {
				t.Errorf("errors.As gives %+v", first)
			}
		})
	}
	if _, err := h.Hook(t.Context(), "fault", Use{Decode: config(schema.Values{"old": 4})}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), `option "old" is deprecated`) {
		t.Error("the warning about the deprecated option is not in the log")
	}
}

func TestPluginLogsCarryFields(t *testing.T) {
	h, log := newHost(t, Options{BundledDir: install(t, "barman-hook-fault")})
	if _, _, err := runHook(t, h, map[string]string{"FAULT": "log"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"[WARN]  a warning: plugin=hook/fault n=5 server=main", "[DEBUG] a detail:"} {
		eventually(t, 5*time.Second, want+" is in the log", func() bool { return strings.Contains(log.String(), want) })
	}
}

func BenchmarkStart(b *testing.B) {
	dir := b.TempDir()
	if err := os.Link(faultBinary, filepath.Join(dir, "barman-hook-fault")); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		h := New(Options{BundledDir: dir, SearchPath: []string{}})
		if _, err := h.Hook(b.Context(), "fault", Use{}); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := h.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
