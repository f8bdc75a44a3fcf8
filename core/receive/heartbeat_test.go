package receive

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestOnlyAReceiverThatLivesIsWithoutProblem(t *testing.T) {
	now := time.Date(2026, 1, 10, 12, 0, 0, 0, time.UTC)
	working := Heartbeat{PID: 7, Phase: Streaming, Time: now.Add(-5 * time.Second)}
	stuck, lost, young := working, working, working
	stuck.Time = now.Add(-2 * time.Minute)
	lost.Phase, lost.Since, lost.Error = Connecting, now.Add(-time.Hour), "connection refused"
	young.Phase = Connecting
	for name, c := range map[string]struct {
		beat Heartbeat
		pid  int
		want string
	}{
		"working":                        {working, 7, ""},
		"stuck":                          {stuck, 7, "stuck"},
		"not connected":                  {lost, 7, "connection refused"},
		"not yet connected":              {young, 7, "connecting"},
		"a receiver of another program":  {stuck, 8, ""},
		"that of a process before it":    {lost, 8, ""},
		"without any heartbeat, unknown": {Heartbeat{}, 8, ""},
	} {
		if got := c.beat.Problem(c.pid, now); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestHeartbeatIsReadBack(t *testing.T) {
	dir := t.TempDir()
	if _, found, err := ReadHeartbeat(dir); found || err != nil {
		t.Fatalf("found one in an empty directory: %v", err)
	}
	p := newPulse(&Receiver{Dir: dir, Now: time.Now})
	p.Received, p.Flushed = 0x2000, 0x1000
	p.stopped(os.ErrClosed)
	beat, found, err := ReadHeartbeat(dir)
	if err != nil || !found || beat.PID != os.Getpid() || beat.Received != 0x2000 || beat.Flushed != 0x1000 ||
		beat.Phase != Stopped || beat.Error != os.ErrClosed.Error() {
		t.Errorf("%+v, %v, %v", beat, found, err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind %v", entries)
	}
	if err := os.WriteFile(filepath.Join(dir, heartbeatName), []byte(`{"pid": 7`), 0o600); err != nil {
		t.Fatal(err)
	}
	if beat, found, err := ReadHeartbeat(dir); found || err != nil || beat.PID != 0 {
		t.Errorf("half a heartbeat is %+v, %v, %v", beat, found, err)
	}
}
