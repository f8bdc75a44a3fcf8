package receive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/barman-go/barman/core/postgres"
	"github.com/barman-go/barman/core/wal"
)

const (
	// statusInterval is the time between two status updates when nothing happens; pg_receivewal's.
	statusInterval = 10 * time.Second
	// silenceLimit is how long the server may be silent although every status asks it for a sign of life; like wal_receiver_timeout.
	silenceLimit = time.Minute
	// syncShare is how many times longer than an fdatasync it is until the next one, when no commit waits for it; and that is between
	// the shortest and the longest delay.
	syncShare     = 10
	shortestDelay = 100 * time.Millisecond
	longestDelay  = time.Second
	// restTime lets WAL gather when it comes in small pieces and no commit waits for it: one turn for many pieces costs much less. The
	// kernel takes them in meanwhile. smallRead is what counts as small; it is below what the buffer of any socket holds.
	restTime  = 50 * time.Millisecond
	smallRead = 128 << 10
)

// stream is the reception of one timeline.
type stream struct {
	*session
	wal   *postgres.WALStream
	file  *segmentFile
	batch postgres.WALBatch
	// told is the last status, and toldAt when it was sent.
	told   postgres.WALStatus
	toldAt time.Time
	// contact is when the server last sent something.
	contact time.Time
	// syncAfter is the earliest time for the next fdatasync when no commit waits.
	syncAfter time.Time
	// serverEnd is the server's end of WAL as it told it last.
	serverEnd wal.LSN
	// wake is the time until which the last Receive was allowed to wait.
	wake time.Time
}

// timeline receives one timeline to its end and returns where the next one begins.
func (s *session) timeline(ctx context.Context, at position) (next position, err error) {
	w, err := s.conn.StartWAL(ctx, postgres.WALStart{Slot: s.Slot, Timeline: at.timeline, Start: at.lsn})
	if err != nil {
		return next, s.explain(err, at)
	}
	t := &stream{session: s, wal: w, contact: s.Now()}
	if err := t.open(at); err != nil {
		w.Close()
		return next, err
	}
	err = t.receive(at)
	if err != nil {
		err = t.part(ctx, err)
		w.Close()
		return next, s.explain(err, at)
	}
	return t.end()
}

func (t *stream) open(at position) error {
	if err := t.room(at); err != nil {
		return final{err}
	}
	file, truncated, err := openSegment(t.Dir, at, t.expect)
	if truncated {
		t.Out.Info("Truncating partial file %s", wal.PartialName(at.segment(t.expect.SegmentSize)))
	}
	if err != nil {
		return final{err}
	}
	t.file, file.parted = file, t.keepEarlier
	return nil
}

// room tells whether the segment at an address may take space. A file that is there has it already.
func (t *stream) room(at position) error {
	if t.Room == nil {
		return nil
	}
	_, err := os.Stat(filepath.Join(t.Dir, wal.PartialName(at.segment(t.expect.SegmentSize))))
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return t.Room(int64(t.expect.SegmentSize))
}

// receive runs until the timeline ends, which is no error.
func (t *stream) receive(at position) error {
	// The server answers to this also when it has no WAL to send. A refusal may come as late as this answer.
	now := t.Now()
	if err := t.tell(now, true); err != nil {
		return err
	}
	for flows := false; !t.batch.Ended; {
		t.schedule(now)
		if err := t.wal.Receive(t.wake, &t.batch); err != nil {
			return err
		}
		if !flows && (t.batch.ServerEnd != 0 || t.batch.Ended) {
			flows = true
			t.connected(at.lsn, at.timeline)
			t.pulse.streaming(at, t.expect.SegmentSize)
			t.handOver()
		}
		if err := t.store(t.batch.Parts); err != nil {
			return final{err}
		}
		now = t.Now()
		if err := t.answer(now); err != nil {
			return err
		}
		t.pulse.beat(now, t)
		if t.scarce() && !t.synchronous.Load() {
			t.wal.Rest(restTime)
		}
	}
	return nil
}

// scarce tells that the little which came is all that the server has. Behind a server that has more, resting would only make it wait.
func (t *stream) scarce() bool {
	if t.batch.ServerEnd != 0 {
		t.serverEnd = t.batch.ServerEnd
	}
	received := t.batch.Start + wal.LSN(t.batch.Length)
	return t.batch.Drained && t.batch.Length > 0 && t.batch.Length < smallRead && t.serverEnd < received+smallRead
}

// schedule sets the time at which there is something to do although nothing comes. One that is too early costs less than setting it
// anew for each message.
func (t *stream) schedule(now time.Time) {
	at := t.toldAt.Add(statusInterval)
	// While more is waiting to be read, the disk is not made to wait for itself.
	if t.batch.Drained && t.file.dirty() && t.syncAfter.Before(at) {
		at = t.syncAfter
	}
	if beat := t.pulse.due(); beat.Before(at) {
		at = beat
	}
	if !now.Before(t.wake) || at.Before(t.wake) {
		t.wake = at
	}
}

// store writes WAL to its files. A segment that is complete is reported at once: a commit may wait for its last bytes.
func (t *stream) store(parts [][]byte) (err error) {
	for len(parts) > 0 {
		if parts, err = t.file.write(parts); err != nil {
			return err
		}
		if t.file.full() {
			if err := t.turn(); err != nil {
				return err
			}
		}
	}
	return nil
}

// turn completes a segment and begins the next one.
func (t *stream) turn() error {
	if err := t.file.complete(); err != nil {
		return err
	}
	if err := t.tell(t.Now(), false); err != nil {
		// The next Receive tells that the connection is lost; what was received before that is still to be stored.
		t.Log.Debug("cannot report a segment", "server", t.Server, "error", err)
	}
	// The next file is made now and not when its first WAL comes: it is the receiver's position, and lets archive-wal take this one.
	if err := t.open(positionOf(t.file.segment.Next(t.expect.SegmentSize), t.expect.SegmentSize)); err != nil {
		return err
	}
	t.handOver()
	return nil
}

func (r *run) handOver() {
	if r.Completed != nil {
		r.Completed()
	}
}

// answer makes durable what should be, and sends a status when there is something to tell.
func (t *stream) answer(now time.Time) error {
	if t.batch.ServerEnd != 0 || t.batch.Length > 0 {
		t.contact = now
	}
	if now.Sub(t.contact) > silenceLimit {
		return fmt.Errorf("%w: the server has given no sign of life for %s", postgres.ErrConnectionLost, silenceLimit)
	}
	waited := t.synchronous.Load() || t.batch.ReplyRequested || t.batch.Ended
	if t.batch.Drained && t.file.dirty() && (waited || !now.Before(t.syncAfter)) {
		if err := t.file.sync(); err != nil {
			return final{err}
		}
		done := t.Now()
		t.syncAfter = done.Add(min(max(syncShare*done.Sub(now), shortestDelay), longestDelay))
		now = done
	}
	if t.batch.ReplyRequested || t.file.flushed != t.told.Flushed || now.Sub(t.toldAt) >= statusInterval {
		return t.tell(now, now.Sub(t.contact) >= statusInterval)
	}
	return nil
}

// tell sends the status.
func (t *stream) tell(now time.Time, ask bool) error {
	t.told = postgres.WALStatus{Written: t.file.written, Flushed: t.file.flushed, RequestReply: ask}
	t.toldAt = now
	return t.wal.SendStatus(t.told, now)
}

// part ends the stream in order when it was told to: what has come is made durable and reported. After an error of the disk
// nothing is; after the loss of the connection the next session receives the segment again.
func (t *stream) part(ctx context.Context, err error) error {
	if errors.As(err, new(final)) {
		_ = t.file.file.Close() // the first error is the one that counts
		return err
	}
	if syncErr := t.file.sync(); syncErr != nil {
		_ = t.file.file.Close()
		return final{syncErr}
	}
	if ctx.Err() != nil {
		_ = t.tell(t.Now(), false) // the server may be gone
	}
	t.pulse.note(t)
	if closeErr := t.file.file.Close(); closeErr != nil {
		return final{closeErr}
	}
	return err
}

// end leaves a timeline and says where the next one begins.
func (t *stream) end() (next position, err error) {
	stopped := t.file.written
	if err := t.file.leave(); err != nil {
		t.wal.Close()
		return next, final{err}
	}
	end, err := t.wal.Finish()
	if err != nil {
		t.wal.Close()
		return next, err
	}
	if end.Next <= t.file.segment.Timeline || end.Start > stopped {
		return next, fmt.Errorf("the server stopped timeline %d at %s, and says that timeline %d follows at %s",
			t.file.segment.Timeline, stopped, end.Next, end.Start)
	}
	t.Out.Info("%s: switched to timeline %d at %s", t.Server, end.Next, end.Start)
	size := t.expect.SegmentSize
	return positionOf(wal.SegmentForLSN(end.Next, end.Start, size), size), nil
}
