package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"golang.org/x/sys/unix"

	"github.com/barman-go/barman/core/wal"
)

const (
	// streamBuffer holds two of the largest messages that servers send, and still fits into a processor's cache.
	streamBuffer = 256 << 10
	// sendTimeout is how long a status update may take. It is tiny, so this is a dead connection.
	sendTimeout = 10 * time.Second
	// restBytes is what may gather during a Rest without waking anybody.
	restBytes = 128 << 10
	// goodbyeTimeout is how long Close waits for the server.
	goodbyeTimeout = time.Second
)

// WALStart says from where WAL is wanted.
type WALStart struct {
	// Slot is a physical replication slot, or empty.
	Slot     string
	Timeline wal.TimelineID
	Start    wal.LSN
}

// WALStream is a replication session while WAL flows (copy-both mode). Its methods are for one goroutine.
//
// It reads the messages itself: pgx hands out one message at a time and copies it, which costs more than all the rest of receiving.
type WALStream struct {
	conn     *ReplicationConn
	hijacked *pgconn.HijackedConn
	socket   net.Conn
	// waiting asks the kernel whether there is more to read; nil for a plain socket, where a short read says it.
	waiting func() bool
	// tcp is the descriptor of a TCP connection, also of an encrypted one.
	tcp     syscall.RawConn
	unwatch func() bool
	ctx     context.Context //nolint:containedctx // it bounds the stream's life, not a call

	mu        sync.Mutex
	cancelled bool
	deadline  time.Time

	// buf[r:w] was read and not decoded yet; undecoded tells that more than the beginning of a message may be there.
	buf       []byte
	r, w      int
	undecoded bool
	status    []byte

	walDecoder
	handle func(kind byte, body []byte) error
	// next timeline, from the server's last words.
	row [][]byte
}

// StartWAL asks for WAL. The stream ends with ctx; the session can be used for other commands again after Finish, and is to be
// closed in any case. When the timeline ends exactly at the start, the first Receive says so.
//
// Errors wrap ErrNoSlot, ErrSlotActive, ErrSlotLost, ErrWALRemoved or ErrNotInHistory where the server says so.
func (c *ReplicationConn) StartWAL(ctx context.Context, from WALStart) (*WALStream, error) {
	command := "START_REPLICATION "
	if from.Slot != "" {
		if err := ValidateSlotName(from.Slot); err != nil {
			return nil, err
		}
		command += "SLOT " + from.Slot + " "
	}
	command += fmt.Sprintf("PHYSICAL %s TIMELINE %d", from.Start, from.Timeline)
	// On a busy machine pgx may still be reading in the background, since a command before, and would take the beginning of the stream.
	if err := c.raw.SyncConn(ctx); err != nil {
		return nil, fmt.Errorf("cannot start streaming: %w: %w", ErrConnectionLost, err)
	}
	hijacked, err := c.raw.Hijack()
	if err != nil {
		return nil, fmt.Errorf("cannot start streaming: %w: %w", ErrConnectionLost, err)
	}
	s := &WALStream{
		conn: c, hijacked: hijacked, socket: hijacked.Conn, ctx: ctx, buf: make([]byte, streamBuffer),
		walDecoder: walDecoder{next: from.Start},
	}
	s.handle = s.other
	s.watchSocket()
	s.unwatch = context.AfterFunc(ctx, s.cancel)
	if err := s.start(command); err != nil {
		s.unwatch()
		return nil, s.wrap(fmt.Sprintf("start streaming at %s on timeline %s", from.Start, from.Timeline), err)
	}
	return s, nil
}

// watchSocket finds the descriptor behind the connection: to see whether more waits behind TLS, which hands out one record at a time,
// and for Rest.
func (s *WALStream) watchSocket() {
	inner, encrypted := s.socket, false
	if outer, ok := s.socket.(interface{ NetConn() net.Conn }); ok {
		inner, encrypted = outer.NetConn(), true
	}
	conn, ok := inner.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	if _, ok := inner.(*net.TCPConn); ok {
		s.tcp = raw
	}
	if !encrypted {
		return
	}
	poll := []unix.PollFd{{Events: unix.POLLIN}}
	ready := false
	look := func(fd uintptr) {
		poll[0].Fd, poll[0].Revents = int32(fd), 0
		n, err := unix.Poll(poll, 0)
		ready = err == nil && n > 0
	}
	s.waiting = func() bool {
		ready = false
		return raw.Control(look) == nil && ready
	}
}

// Rest sleeps while the kernel gathers what comes. Without it each small piece would wake this process, which costs more than
// receiving it.
func (s *WALStream) Rest(d time.Duration) {
	s.wakeFrom(restBytes)
	time.Sleep(d)
	s.wakeFrom(1)
}

// wakeFrom sets how many bytes have to wait before the kernel tells. Where it cannot be set, there is only more to do.
func (s *WALStream) wakeFrom(n int) {
	if s.tcp == nil {
		return
	}
	_ = s.tcp.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, n) })
}

// cancel interrupts a Receive when the context ends.
func (s *WALStream) cancel() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancelled = true
	_ = s.socket.SetReadDeadline(time.Unix(1, 0)) // on a closed socket there is nothing to interrupt
}

// readUntil sets the time at which a Receive without data returns.
func (s *WALStream) readUntil(deadline time.Time) error {
	if deadline.Equal(s.deadline) {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancelled {
		return nil
	}
	s.deadline = deadline
	return s.socket.SetReadDeadline(deadline)
}

func (s *WALStream) start(command string) error {
	s.hijacked.Frontend.SendQuery(&pgproto3.Query{String: command})
	if err := s.hijacked.Frontend.Flush(); err != nil {
		return err
	}
	for {
		kind, body, err := s.readMessage()
		if err != nil {
			return err
		}
		switch kind {
		case messageCopyBoth:
			s.undecoded = s.r < s.w
			return nil
		case messageRowDescription: // the timeline ends where we want to start
			s.rest = -1
			return nil
		default:
			if err := s.other(kind, body); err != nil {
				return err
			}
		}
	}
}

// readMessage waits for a whole message.
func (s *WALStream) readMessage() (kind byte, body []byte, err error) {
	for {
		if have := s.buf[s.r:s.w]; len(have) >= messageHeader {
			size := 1 + int(uint32(have[1])<<24|uint32(have[2])<<16|uint32(have[3])<<8|uint32(have[4]))
			if size < messageHeader || size > len(s.buf) {
				return 0, nil, fmt.Errorf("the server sent a message of %d bytes (%q)", size, have[0])
			}
			if len(have) >= size {
				s.r += size
				return have[0], have[messageHeader:size], nil
			}
		}
		if _, err := s.fill(); err != nil {
			return 0, nil, err
		}
	}
}

// fill reads from the socket once, behind what is in the buffer. full tells that it got all that it asked for.
func (s *WALStream) fill() (full bool, err error) {
	if s.r > 0 {
		s.w = copy(s.buf, s.buf[s.r:s.w])
		s.r = 0
	}
	if s.w == len(s.buf) {
		return false, errors.New("the server sent a message that is too long")
	}
	n, err := s.socket.Read(s.buf[s.w:])
	s.w += n
	if n > 0 {
		err = nil // the next read repeats it
	}
	return s.w == len(s.buf), err
}

// Receive waits for messages, at most until the deadline, and fills b with what has come; on the deadline b is empty. It returns
// the cause of the stream's context when that ends. After any error the session is useless.
//
// Errors wrap ErrConnectionLost, ErrWALRemoved or ErrSlotLost where that is the reason.
func (s *WALStream) Receive(deadline time.Time, b *WALBatch) error {
	*b = WALBatch{Start: s.next, Parts: b.Parts[:0]}
	if s.rest < 0 {
		b.Ended = true
		return nil
	}
	full, err := false, error(nil)
	if !s.undecoded {
		full, err = s.read(deadline)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) && s.ctx.Err() == nil {
		err = nil
	}
	b.Drained = !full
	if err == nil {
		var used int
		used, err = s.decode(s.buf[s.r:s.w], b, s.handle)
		s.r += used
		// What came before the fault counts; the fault is told by the next call.
		if s.undecoded = err != nil && b.Length > 0; s.undecoded {
			err = nil
		}
	}
	if err != nil {
		return s.wrap("receive WAL", err)
	}
	return nil
}

// read waits for data and takes what is there. full tells that more may be waiting.
func (s *WALStream) read(deadline time.Time) (full bool, err error) {
	if err := s.readUntil(deadline); err != nil {
		return false, err
	}
	full, err = s.fill()
	for err == nil && !full && s.waiting != nil && s.waiting() {
		n, err := s.socket.Read(s.buf[s.w:])
		if n == 0 || err != nil {
			break // the next read tells the error again
		}
		s.w += n
		full = s.w == len(s.buf)
	}
	return full, err
}

// other handles the messages that are neither WAL nor keepalives.
func (s *WALStream) other(kind byte, body []byte) error {
	switch kind {
	case messageError:
		var response pgproto3.ErrorResponse
		if err := response.Decode(body); err != nil {
			return err
		}
		return pgconn.ErrorResponseToPgError(&response)
	case messageNotice, messageParameterStatus:
		return nil
	case messageCommandComplete:
		return errServerStopped
	}
	return fmt.Errorf("the server sent an unexpected message (%q)", kind)
}

// SendStatus tells the server how far this client is.
func (s *WALStream) SendStatus(status WALStatus, now time.Time) error {
	s.status = status.encode(s.status, now)
	return s.send(s.status)
}

func (s *WALStream) send(message []byte) error {
	err := s.socket.SetWriteDeadline(time.Now().Add(sendTimeout))
	if err == nil {
		_, err = s.socket.Write(message)
	}
	if err != nil {
		return fmt.Errorf("cannot send a status update: %w: %s", ErrConnectionLost, s.conn.info.redact(err.Error()))
	}
	return nil
}

// WALEnd is where a timeline was left.
type WALEnd struct {
	// Next is the timeline that follows, and Start the address at which it begins.
	Next  wal.TimelineID
	Start wal.LSN
}

// Finish ends a stream whose timeline has ended, and returns where to go on. The session takes commands again.
func (s *WALStream) Finish() (end WALEnd, err error) {
	defer s.unwatch()
	if err := s.readUntil(time.Now().Add(sendTimeout)); err != nil {
		return end, s.wrap("end the stream", err)
	}
	if s.rest >= 0 {
		if err := s.send([]byte{messageCopyDone, 0, 0, 0, 4}); err != nil {
			return end, err
		}
	}
	for {
		kind, body, err := s.readMessage()
		if err != nil {
			return end, s.wrap("end the stream", err)
		}
		switch kind {
		case messageDataRow:
			var row pgproto3.DataRow
			if err := row.Decode(body); err != nil {
				return end, s.wrap("end the stream", err)
			}
			s.row = nil
			for _, value := range row.Values {
				s.row = append(s.row, append([]byte(nil), value...))
			}
		case messageReady:
			if err := s.giveBack(body); err != nil {
				return end, s.wrap("end the stream", err)
			}
			return parseWALEnd(s.row)
		case messageCommandComplete, messageRowDescription, messageCopyData, messageCopyDone:
			// A keepalive may have been under way.
		default:
			if err := s.other(kind, body); err != nil {
				return end, s.wrap("end the stream", err)
			}
		}
	}
}

// giveBack makes the session a normal one again.
func (s *WALStream) giveBack(ready []byte) error {
	if !s.unwatch() {
		return context.Cause(s.ctx)
	}
	if len(ready) > 0 {
		s.hijacked.TxStatus = ready[0]
	}
	if err := s.socket.SetDeadline(time.Time{}); err != nil {
		return err
	}
	raw, err := pgconn.Construct(s.hijacked)
	if err == nil {
		s.conn.raw = raw
	}
	return err
}

func parseWALEnd(row [][]byte) (end WALEnd, err error) {
	if len(row) != 2 {
		return end, errors.New("the server ended the stream without naming the next timeline")
	}
	timeline, err := strconv.ParseUint(string(row[0]), 10, 32)
	if err != nil {
		return end, fmt.Errorf("the server named the next timeline %q", row[0])
	}
	end.Next = wal.TimelineID(timeline)
	end.Start, err = wal.ParseLSN(string(row[1]))
	return end, err
}

// Close ends the session in order: it waits a moment for the server to take its leave, which spares it an error in its log. Send a
// last status first.
func (s *WALStream) Close() {
	s.unwatch()
	// CopyDone and Terminate.
	if err := s.send([]byte{messageCopyDone, 0, 0, 0, 4, 'X', 0, 0, 0, 4}); err == nil {
		_ = s.socket.SetReadDeadline(time.Now().Add(goodbyeTimeout))
		for err == nil {
			_, err = s.socket.Read(s.buf)
		}
	}
	_ = s.socket.Close() // whatever it says, the session is over
}

// wrap turns the error of a call into one of this package's.
func (s *WALStream) wrap(what string, err error) error {
	server := serverError(s.conn.info, err)
	switch {
	case s.ctx.Err() != nil:
		return fmt.Errorf("cannot %s: %w", what, context.Cause(s.ctx))
	case server != nil:
		return walError(what, server)
	case errors.Is(err, errGap):
		return fmt.Errorf("cannot %s: %w", what, err)
	default:
		return fmt.Errorf("cannot %s: %w: %s", what, ErrConnectionLost, s.conn.info.redact(err.Error()))
	}
}
