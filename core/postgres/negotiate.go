package postgres

import (
	"bytes"
	"context"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// sslRequest asks for TLS (PostgreSQL manual, chapter "Frontend/Backend Protocol", section "SSLRequest"). A server without TLS answers with
// the byte N, and then waits for a start in clear text on the same connection.
var sslRequest = []byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f}

// keepRefused has sslmode=prefer, which is the default, go on in clear text on the connection on which TLS was refused, as libpq does.
// pgconn closes that connection and makes another one, so that the server starts, and logs, two processes for each session. The function
// returned closes what was kept and not used; it must be called once the attempt to connect is over.
func keepRefused(config *pgconn.Config) (done func()) {
	plain := config.TLSConfig == nil
	for _, fallback := range config.Fallbacks {
		plain = plain || fallback.TLSConfig == nil
	}
	if !plain {
		return func() {}
	}
	k := &keeper{dial: config.DialFunc, kept: map[string]net.Conn{}}
	config.DialFunc = k.connect
	return k.close
}

// keeper holds the connections on which TLS was refused, by their addresses, during one attempt to connect.
type keeper struct {
	dial pgconn.DialFunc

	mu   sync.Mutex
	over bool
	kept map[string]net.Conn
}

func (k *keeper) connect(ctx context.Context, network, address string) (net.Conn, error) {
	k.mu.Lock()
	conn, found := k.kept[address]
	delete(k.kept, address)
	k.mu.Unlock()
	if found {
		return conn, nil
	}
	conn, err := k.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &negotiating{Conn: conn, keep: func() error { return k.keep(address, conn) }}, nil
}

// keep takes a connection, or closes it when the attempt is over: those by which statements are cancelled come later.
func (k *keeper) keep(address string, conn net.Conn) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, taken := k.kept[address]; k.over || taken || conn.SetDeadline(time.Time{}) != nil {
		return conn.Close()
	}
	k.kept[address] = conn
	return nil
}

func (k *keeper) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.over = true
	for _, conn := range k.kept {
		_ = conn.Close() // nothing was said on it
	}
	clear(k.kept)
}

// negotiating is a connection whose first message may ask for TLS. Its state is settled before several goroutines use it.
type negotiating struct {
	net.Conn
	keep  func() error
	state negotiation
}

type negotiation int

const (
	negotiationFresh negotiation = iota
	negotiationAsked
	negotiationRefused
	negotiationOver
)

// Write sees whether the first message asks for TLS.
func (c *negotiating) Write(p []byte) (int, error) {
	if c.state != negotiationOver {
		if c.state == negotiationFresh && bytes.Equal(p, sslRequest) {
			c.state = negotiationAsked
		} else {
			c.state = negotiationOver
		}
	}
	return c.Conn.Write(p)
}

// Read sees the answer, of which pgconn reads one byte.
func (c *negotiating) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.state != negotiationOver {
		if c.state == negotiationAsked && err == nil && n == 1 && len(p) == 1 && p[0] == 'N' {
			c.state = negotiationRefused
		} else {
			c.state = negotiationOver
		}
	}
	return n, err
}

// Close keeps the connection when its last word was the refusal.
func (c *negotiating) Close() error {
	if c.state == negotiationRefused {
		c.state = negotiationOver
		return c.keep()
	}
	return c.Conn.Close()
}
