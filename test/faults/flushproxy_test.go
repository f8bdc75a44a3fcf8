package faults

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strconv"
	"testing"

	"github.com/barman-go/barman/core/wal"
)

// flushProxy stands between a receiver and its server, and sees which WAL the receiver says to have on its disk before the server sees it.
type flushProxy struct {
	server string
	// said is called with each flush position, in order.
	said func(wal.LSN)
}

// start listens on a port of its own until the test ends.
func (p *flushProxy) start(t *testing.T) (port int) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return // the test is over
			}
			go p.serve(client)
		}
	}()
	return listener.Addr().(*net.TCPAddr).Port
}

func (p *flushProxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(client, server) // until one of them has enough
		_ = client.Close()
	}()
	_ = p.forward(server, bufio.NewReader(client))
}

// forward passes on messages of a client. PostgreSQL manual, section "Message Formats": a length first in the first message, a type and a
// length in all others. The answer to a status inquiry is CopyData ('d') with 'r', and the positions written, flushed and applied.
func (p *flushProxy) forward(server io.Writer, client io.Reader) error {
	for header := 4; ; header = 5 {
		message := make([]byte, header)
		if _, err := io.ReadFull(client, message); err != nil {
			return err
		}
		length := binary.BigEndian.Uint32(message[header-4:])
		if length < 4 || length > 1<<20 {
			return errors.New("a message of length " + strconv.Itoa(int(length)))
		}
		message = append(message, make([]byte, length-4)...)
		if _, err := io.ReadFull(client, message[header:]); err != nil {
			return err
		}
		if header == 5 && message[0] == 'd' && length >= 4+1+24 && message[5] == 'r' {
			p.said(wal.LSN(binary.BigEndian.Uint64(message[14:])))
		}
		if _, err := server.Write(message); err != nil {
			return err
		}
	}
}
