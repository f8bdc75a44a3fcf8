package receive

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/wal"
)

// heartbeatName is hidden, so that neither program takes it for WAL.
const heartbeatName = ".receive-wal.json"

// Phases of a receiver.
const (
	Connecting = "connecting"
	Streaming  = "streaming"
	Stopped    = "stopped"
)

// Heartbeat is what a receiver says about itself, in a file that it renews while it works.
type Heartbeat struct {
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	// Time is when this was written.
	Time  time.Time `json:"time"`
	Phase string    `json:"phase"`
	// Since is when the phase began.
	Since       time.Time      `json:"since"`
	Timeline    wal.TimelineID `json:"timeline"`
	Segment     string         `json:"segment"`
	Received    wal.LSN        `json:"received"`
	Flushed     wal.LSN        `json:"flushed"`
	ServerEnd   wal.LSN        `json:"server_end"`
	Contact     time.Time      `json:"contact"`
	Synchronous bool           `json:"synchronous"`
	// Error is the last one; it is empty again when WAL flows.
	Error string `json:"error"`
}

const (
	// beatChanged and beatIdle are the times between two heartbeats when something has changed, and when nothing has.
	beatChanged = time.Second
	beatIdle    = 10 * time.Second
	// deadAfter is the age at which a heartbeat is that of a process that is stuck.
	deadAfter = 60 * time.Second
)

// ReadHeartbeat reads the heartbeat in a streaming directory; found is false when there is none.
func ReadHeartbeat(dir string) (beat Heartbeat, found bool, err error) {
	path := filepath.Join(dir, heartbeatName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return beat, false, nil
	}
	if err != nil {
		return beat, false, err
	}
	if err := json.Unmarshal(text, &beat); err != nil {
		// It is not made durable, so a crash of the machine may leave half of it.
		return Heartbeat{}, false, nil //nolint:nilerr // an unreadable heartbeat is none
	}
	return beat, true, nil
}

// Problem says what is wrong with the receiver that holds the lock as process pid, or nothing when it works. A receiver of
// another program has no heartbeat of its own; that it lives is all that is known then.
func (b Heartbeat) Problem(pid int, now time.Time) string {
	switch {
	case b.PID != pid:
		return ""
	case b.Phase == Streaming && now.Sub(b.Time) > deadAfter:
		return fmt.Sprintf("process %d is stuck: it has given no sign of life since %s; look at its disk, or kill it, and cron starts it again",
			pid, b.Time.Local().Format(time.DateTime))
	case b.Phase == Streaming:
		return ""
	case b.Error != "":
		return fmt.Sprintf("not connected since %s: %s", b.Since.Local().Format(time.DateTime), b.Error)
	}
	return "it is connecting"
}

// pulse writes the heartbeat of a receiver. It belongs to the goroutine that receives, so that a file that is not renewed means
// that nothing is received.
type pulse struct {
	Heartbeat
	path string
	now  func() time.Time
	// written is the last state that was written.
	written Heartbeat
}

func newPulse(r *Receiver) *pulse {
	now := r.Now()
	return &pulse{
		path: filepath.Join(r.Dir, heartbeatName), now: r.Now,
		Heartbeat: Heartbeat{PID: os.Getpid(), Started: now, Phase: Connecting, Since: now},
	}
}

func (p *pulse) phase(phase string, err error) {
	now := p.now()
	if p.Phase != phase {
		p.Phase, p.Since = phase, now
	}
	p.Error = ""
	if err != nil {
		p.Error = err.Error()
	}
	p.write(now)
}

func (p *pulse) connecting() { p.phase(Connecting, nil) }

func (p *pulse) disconnected(err error) { p.phase(Connecting, err) }

func (p *pulse) stopped(err error) { p.phase(Stopped, err) }

func (p *pulse) streaming(at position, size wal.SegmentSize) {
	p.Timeline, p.Segment = at.timeline, at.segment(size).String()
	p.Received, p.Flushed, p.Contact = at.lsn, at.lsn, p.now()
	p.phase(Streaming, nil)
}

// note takes over what a stream knows.
func (p *pulse) note(t *stream) {
	p.Timeline, p.Received, p.Flushed = t.file.segment.Timeline, t.file.written, t.file.flushed
	p.Contact, p.Synchronous = t.contact, t.synchronous.Load()
	if t.batch.ServerEnd != 0 {
		p.ServerEnd = t.batch.ServerEnd
	}
}

// due is when the next heartbeat has to be written.
func (p *pulse) due() time.Time {
	if p.changed() {
		return p.written.Time.Add(beatChanged)
	}
	return p.written.Time.Add(beatIdle)
}

func (p *pulse) changed() bool {
	return p.Received != p.written.Received || p.Flushed != p.written.Flushed || p.Synchronous != p.written.Synchronous
}

// beat writes a heartbeat if it is time for one.
func (p *pulse) beat(now time.Time, t *stream) {
	p.note(t)
	if now.Before(p.due()) {
		return
	}
	p.Segment = t.file.segment.String()
	p.write(now)
}

// write replaces the file. It is not made durable: after a crash of the machine nobody is alive, whatever the file says. A
// failure, most likely a full disk, is told by the WAL that cannot be written.
func (p *pulse) write(now time.Time) {
	p.Time = now
	p.written = p.Heartbeat
	text, err := json.MarshalIndent(p.Heartbeat, "", "  ")
	if err != nil {
		return
	}
	temp := fsx.TempPath(p.path)
	if err = os.WriteFile(temp, append(text, '\n'), 0o644); err == nil {
		err = os.Rename(temp, p.path)
	}
	if err != nil {
		_ = os.Remove(temp)
	}
}
