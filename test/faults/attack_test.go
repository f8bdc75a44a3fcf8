package faults

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/barman-go/barman/test/lab"
)

// deathWatch is how long anything of barman may live on after it, its plugin or its tool was killed.
const deathWatch = 5 * time.Second

// strike does harm to a barman at work, whose process and family are given. It returns false when there was nothing to hit yet, and is
// called again soon.
type strike func(t *testing.T, root int, family []process) bool

// until attacks a command again and again until the harm is done before the command has ended. prepare comes before each attempt.
func (s *scene) until(t *testing.T, w *witness, harm strike, longest time.Duration, prepare func(*testing.T), args ...string) lab.Result {
	t.Helper()
	for range 40 {
		prepare(t)
		s.before = s.ids(t)
		result, hit := s.attack(t, w, time.Duration(s.random.Int64N(int64(longest))), harm, args)
		if hit {
			return result
		}
		// It succeeded, as it should when nobody disturbs it.
		if result.Exit != 0 {
			t.Fatalf("barman %s, undisturbed: exit code %d\n%s%s", args, result.Exit, result.Stdout, result.Stderr)
		}
	}
	t.Fatal("there was never anything to hit")
	return lab.Result{}
}

// attack starts barman, lets it work for a while, and from then on tries to do harm.
func (s *scene) attack(t *testing.T, w *witness, delay time.Duration, harm strike, args []string) (result lab.Result, hit bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := s.host.Command(ctx, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // the exit code says it all
	}()
	how := func() lab.Result {
		return lab.Result{Stdout: stdout.String(), Stderr: stderr.String(), Exit: cmd.ProcessState.ExitCode()}
	}
	for next := delay; !hit; next = 2 * time.Millisecond {
		select {
		case <-ended:
			return how(), false
		case <-time.After(next):
		}
		hit = harm(t, cmd.Process.Pid, w.look(cmd.Process.Pid))
	}
	t.Logf("hit barman %s after %s", args[0], delay)
	<-ended
	if ctx.Err() != nil {
		t.Errorf("barman %s had to be killed: it did not end by itself", args[0])
	}
	return how(), true
}
