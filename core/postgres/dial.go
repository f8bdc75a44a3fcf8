package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sys/unix"
)

// dialFunc honours the parameters of libpq that set up a TCP connection: keepalives, keepalives_idle, keepalives_interval,
// keepalives_count (seconds) and tcp_user_timeout (milliseconds), and requirepeer. As there, 0 and none leave the system's default. It returns
// nil when the connection string has none of them.
func dialFunc(info Conninfo, timeout time.Duration) (pgconn.DialFunc, error) {
	var numbers [5]int
	owner := info.Get("requirepeer")
	given := owner != ""
	for i, key := range []string{"keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"} {
		text := info.Get(key)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, fmt.Errorf("%w: %s is not a number", ErrConninfo, key)
		}
		numbers[i], given = n, true
	}
	if !given {
		return nil, nil
	}
	// −1 means the system's default to net.
	positive := func(n int) int {
		if n <= 0 {
			return -1
		}
		return n
	}
	seconds := func(n int) time.Duration {
		if n <= 0 {
			return -1
		}
		return time.Duration(n) * time.Second
	}
	dialer := &net.Dialer{Timeout: timeout, KeepAlive: -1}
	if info.Get("keepalives") == "" || numbers[0] != 0 {
		dialer.KeepAliveConfig = net.KeepAliveConfig{
			Enable: true, Idle: seconds(numbers[1]), Interval: seconds(numbers[2]), Count: positive(numbers[3]),
		}
	}
	if limit := numbers[4]; limit > 0 {
		dialer.Control = func(network, _ string, conn syscall.RawConn) error {
			if network == "unix" {
				return nil
			}
			var err error
			if controlErr := conn.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, limit)
			}); controlErr != nil {
				return controlErr
			}
			return err
		}
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if err := checkPeer(conn, owner); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		return conn, nil
	}, nil
}
