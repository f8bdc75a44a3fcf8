package postgres

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/barman-go/barman/core/wal"
)

// WALBatch is what one Receive has brought.
type WALBatch struct {
	// Start is the address of the first byte of Parts, and of the next one to come when there are none.
	Start wal.LSN
	// Parts are consecutive pieces of WAL. They lie in the stream's buffer and are valid until the next Receive.
	Parts [][]byte
	// Length is that of all Parts together, in bytes.
	Length int
	// ServerEnd is the server's current end of WAL as of its last message in this batch; 0 when it sent none.
	ServerEnd wal.LSN
	// ReplyRequested: the server wants a status update at once.
	ReplyRequested bool
	// Drained: nothing more was waiting when this was received.
	Drained bool
	// Ended: the server has no more WAL on this timeline; call Finish.
	Ended bool
}

// Kinds of messages (PostgreSQL manual, sections "Message Formats" and "Streaming Replication Protocol").
const (
	messageCopyData        = 'd'
	messageCopyDone        = 'c'
	messageCopyBoth        = 'W'
	messageError           = 'E'
	messageNotice          = 'N'
	messageParameterStatus = 'S'
	messageCommandComplete = 'C'
	messageRowDescription  = 'T'
	messageDataRow         = 'D'
	messageReady           = 'Z'

	dataWAL       = 'w'
	dataKeepalive = 'k'
	dataStatus    = 'r'
)

const (
	// messageHeader is the kind and the length, which counts itself.
	messageHeader = 5
	// walHeader is the kind, the address, the server's end of WAL and its clock.
	walHeader     = 1 + 8 + 8 + 8
	keepaliveSize = 1 + 8 + 8 + 1
	statusSize    = 1 + 8 + 8 + 8 + 8 + 1
	// maxWALMessage is far above what servers send, which is 128 kB.
	maxWALMessage = 64 << 20
)

var (
	// errServerStopped is the end of the stream of a server that shuts down.
	errServerStopped = errors.New("the server is shutting down")
	// errGap means that the server does not send the WAL that was asked for.
	errGap = errors.New("the WAL that arrives is not the next")
)

// walDecoder takes the messages of a WAL stream apart, wherever the network has cut them: WAL is passed on as it arrives,
// and only the other messages have to be complete.
type walDecoder struct {
	// next is the address of the next byte of WAL.
	next wal.LSN
	// rest is how many bytes of the current message's WAL are still to come.
	rest int
}

// decode reads what it can from buf and adds it to b. It returns how many bytes of buf it has used up, which on an error are those
// before the message at fault. other is called with the kind and body of each message that is not about WAL; CopyDone sets
// b.Ended, and what follows it is not read.
func (d *walDecoder) decode(buf []byte, b *WALBatch, other func(kind byte, body []byte) error) (used int, err error) {
	for !b.Ended {
		if d.rest > 0 {
			n := min(d.rest, len(buf)-used)
			if n == 0 {
				return used, nil
			}
			b.Parts, b.Length = append(b.Parts, buf[used:used+n]), b.Length+n
			used, d.rest, d.next = used+n, d.rest-n, d.next+wal.LSN(n)
			continue
		}
		n, err := d.message(buf[used:], b, other)
		if err != nil || n == 0 {
			return used, err
		}
		used += n
	}
	return used, nil
}

// message reads one message, or the beginning of one that carries WAL. It returns 0 when too little of it is there.
func (d *walDecoder) message(buf []byte, b *WALBatch, other func(byte, []byte) error) (used int, err error) {
	if len(buf) < messageHeader {
		return 0, nil
	}
	kind, length := buf[0], int(int32(binary.BigEndian.Uint32(buf[1:])))
	if length < 4 || length > maxWALMessage {
		return 0, fmt.Errorf("the server sent a message of %d bytes (%q)", length, kind)
	}
	size := length + 1
	if kind == messageCopyData && size > messageHeader {
		if len(buf) == messageHeader {
			return 0, nil
		}
		if buf[messageHeader] == dataWAL {
			return d.wal(buf, size, b)
		}
	}
	if len(buf) < size {
		return 0, nil
	}
	body := buf[messageHeader:size]
	switch kind {
	case messageCopyData:
		err = b.keepalive(body)
	case messageCopyDone:
		b.Ended = true
	default:
		err = other(kind, body)
	}
	return size, err
}

func (d *walDecoder) wal(buf []byte, size int, b *WALBatch) (used int, err error) {
	const header = messageHeader + walHeader
	if size < header {
		return 0, fmt.Errorf("the server sent a WAL message of %d bytes", size)
	}
	if len(buf) < header {
		return 0, nil
	}
	body := buf[messageHeader:]
	if start := wal.LSN(binary.BigEndian.Uint64(body[1:])); start != d.next {
		return 0, fmt.Errorf("%w: expected %s, the server sent %s", errGap, d.next, start)
	}
	b.ServerEnd = wal.LSN(binary.BigEndian.Uint64(body[9:]))
	d.rest = size - header
	return header, nil
}

func (b *WALBatch) keepalive(body []byte) error {
	if len(body) < keepaliveSize || body[0] != dataKeepalive {
		return fmt.Errorf("the server sent a message of the replication protocol that is unknown here: %.20q", body)
	}
	b.ServerEnd = wal.LSN(binary.BigEndian.Uint64(body[1:]))
	b.ReplyRequested = b.ReplyRequested || body[17] != 0
	return nil
}

// WALStatus is what a client tells the server: up to where it has written WAL, and up to where that is durable. Flushed counts for
// synchronous commits and for what a replication slot keeps.
type WALStatus struct {
	Written, Flushed wal.LSN
	// RequestReply asks the server for a sign of life.
	RequestReply bool
}

// postgresEpoch is 2000-01-01, in seconds of Unix time.
const postgresEpoch = 946684800

// encode writes the message into buf, which it may use again. The apply position stays 0, which means that this client replays
// nothing.
func (s WALStatus) encode(buf []byte, now time.Time) []byte {
	buf = append(buf[:0], messageCopyData)
	buf = binary.BigEndian.AppendUint32(buf, 4+statusSize)
	buf = append(buf, dataStatus)
	buf = binary.BigEndian.AppendUint64(buf, uint64(s.Written))
	buf = binary.BigEndian.AppendUint64(buf, uint64(s.Flushed))
	buf = binary.BigEndian.AppendUint64(buf, 0)
	buf = binary.BigEndian.AppendUint64(buf, uint64(now.UnixMicro()-postgresEpoch*1e6))
	if s.RequestReply {
		return append(buf, 1)
	}
	return append(buf, 0)
}
