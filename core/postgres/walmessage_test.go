package postgres

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/core/wal"
)

// copyData frames a message of the copy-both mode.
func copyData(body []byte) []byte { return frame(messageCopyData, body) }

func frame(kind byte, body []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(4+len(body))), body...)
}

func walData(start, end wal.LSN, data []byte) []byte {
	body := binary.BigEndian.AppendUint64([]byte{dataWAL}, uint64(start))
	body = binary.BigEndian.AppendUint64(body, uint64(end))
	return copyData(append(append(body, make([]byte, 8)...), data...))
}

func keepaliveData(end wal.LSN, reply byte) []byte {
	body := binary.BigEndian.AppendUint64([]byte{dataKeepalive}, uint64(end))
	return copyData(append(append(body, make([]byte, 8)...), reply))
}

// decodeInPieces feeds a stream in pieces of a size, as the network may deliver it.
func decodeInPieces(d *walDecoder, stream []byte, piece int) (data []byte, b WALBatch, err error) {
	var buf []byte
	for len(stream) > 0 && err == nil && !b.Ended {
		n := min(piece, len(stream))
		buf, stream = append(buf, stream[:n]...), stream[n:]
		var used int
		b.Parts = nil
		used, err = d.decode(buf, &b, func(byte, []byte) error { return nil })
		for _, part := range b.Parts {
			data = append(data, part...)
		}
		buf = append([]byte(nil), buf[used:]...)
	}
	return data, b, err
}

func TestWALIsDecodedWhereverTheNetworkCutsIt(t *testing.T) {
	first, second := bytes.Repeat([]byte("first"), 20), bytes.Repeat([]byte("2nd"), 30)
	stream := walData(0x1000, 0x2000, first)
	stream = append(stream, keepaliveData(0x2100, 1)...)
	stream = append(stream, frame(messageNotice, []byte("SLOG\x00\x00"))...)
	stream = append(stream, walData(0x1000+wal.LSN(len(first)), 0x2200, second)...)
	stream = append(stream, copyData([]byte("k234567890123456\x00\x00"))...)
	stream = append(stream, frame(messageCopyDone, nil)...)
	want := append(append([]byte(nil), first...), second...)
	for piece := 1; piece <= len(stream); piece++ {
		d := &walDecoder{next: 0x1000}
		data, b, err := decodeInPieces(d, stream, piece)
		if err != nil || !bytes.Equal(data, want) || !b.Ended || !b.ReplyRequested || d.next != 0x1000+wal.LSN(len(want)) {
			t.Fatalf("in pieces of %d: %d bytes of WAL, next %s, %+v, %v", piece, len(data), d.next, b, err)
		}
	}
}

func TestWALStreamFaultsAreErrors(t *testing.T) {
	for name, stream := range map[string][]byte{
		"gap":                 walData(0x1001, 0x2000, []byte("x")),
		"short WAL message":   copyData([]byte("w1234")),
		"short keepalive":     copyData([]byte("k1234")),
		"unknown message":     copyData([]byte("?1234")),
		"empty message":       copyData(nil),
		"length below itself": {messageCopyData, 0, 0, 0, 3},
		"negative length":     {messageCopyData, 0xff, 0, 0, 0},
		"enormous length":     {messageCopyData, 0x7f, 0xff, 0xff, 0xff},
	} {
		d := &walDecoder{next: 0x1000}
		data, _, err := decodeInPieces(d, stream, len(stream))
		if err == nil || len(data) > 0 || d.next != 0x1000 {
			t.Errorf("%s: %d bytes of WAL, %v", name, len(data), err)
		}
	}
	d := &walDecoder{next: 0x1000}
	if _, _, err := decodeInPieces(d, walData(0x1001, 0, nil), 100); !errors.Is(err, errGap) {
		t.Errorf("a gap is %v", err)
	}
}

// TestWhatCameBeforeAFaultIsKept: the server's last words must not take away the WAL that came with them.
func TestWhatCameBeforeAFaultIsKept(t *testing.T) {
	stream := append(walData(0x1000, 0x1003, []byte("WAL")), frame(messageError, []byte("SFATAL\x00\x00"))...)
	d, b, fault := &walDecoder{next: 0x1000}, WALBatch{}, errors.New("terminating connection")
	used, err := d.decode(stream, &b, func(byte, []byte) error { return fault })
	if !errors.Is(err, fault) || b.Length != 3 || used != len(walData(0, 0, []byte("WAL"))) {
		t.Errorf("used %d, %d bytes of WAL, %v", used, b.Length, err)
	}
}

func TestStatusIsPostgreSQLsMessage(t *testing.T) {
	at := time.Date(2000, 1, 1, 0, 0, 1, 0, time.UTC)
	got := WALStatus{Written: 0x102, Flushed: 0x101, RequestReply: true}.encode(nil, at)
	want := []byte{
		'd', 0, 0, 0, 38, 'r',
		0, 0, 0, 0, 0, 0, 1, 2,
		0, 0, 0, 0, 0, 0, 1, 1,
		0, 0, 0, 0, 0, 0, 0, 0, // nothing is applied here
		0, 0, 0, 0, 0, 0x0f, 0x42, 0x40,
		1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

func FuzzDecodeWAL(f *testing.F) {
	f.Add(append(walData(0, 10, []byte("0123456789")), keepaliveData(10, 1)...), 7)
	f.Add(append(keepaliveData(1, 0), frame(messageCopyDone, nil)...), 1)
	f.Add(walData(1, 1, []byte("gap")), 3)
	f.Fuzz(func(t *testing.T, stream []byte, piece int) {
		piece = max(piece, 1)
		whole, pieces := &walDecoder{}, &walDecoder{}
		data, _, errWhole := decodeInPieces(whole, stream, max(len(stream), 1))
		cut, _, errCut := decodeInPieces(pieces, stream, piece)
		if len(data) > len(stream) || whole.next != wal.LSN(len(data)) {
			t.Fatalf("%d bytes of WAL from a stream of %d, next %s", len(data), len(stream), whole.next)
		}
		if !bytes.Equal(data, cut) || (errWhole == nil) != (errCut == nil) {
			t.Fatalf("in pieces of %d: %d bytes of WAL and %v, at once %d and %v", piece, len(cut), errCut, len(data), errWhole)
		}
	})
}
