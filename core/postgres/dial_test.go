package postgres

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestTCPParametersReachTheSocket(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	type options struct{ KeepAlive, Idle, Interval, Count, UserTimeout int }
	for text, want := range map[string]options{
		"keepalives_idle=7 keepalives_interval=3 keepalives_count=4 tcp_user_timeout=9000": {1, 7, 3, 4, 9000},
		"keepalives=0 tcp_user_timeout=1000":                                               {0, 0, 0, 0, 1000},
	} {
		info, err := ParseConninfo(text)
		if err != nil {
			t.Fatal(err)
		}
		dial, err := dialFunc(info, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := dial(t.Context(), "tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		raw, err := conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var got options
		err = raw.Control(func(fd uintptr) {
			read := func(level, option int) int {
				n, err := unix.GetsockoptInt(int(fd), level, option)
				if err != nil {
					t.Error(err)
				}
				return n
			}
			got.KeepAlive, got.UserTimeout = read(unix.SOL_SOCKET, unix.SO_KEEPALIVE), read(unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
			if got.KeepAlive != 0 {
				got.Idle, got.Interval = read(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE), read(unix.IPPROTO_TCP, unix.TCP_KEEPINTVL)
				got.Count = read(unix.IPPROTO_TCP, unix.TCP_KEEPCNT)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
	if dial, err := dialFunc(Conninfo{}, 0); dial != nil || err != nil {
		t.Errorf("without parameters: %v", err)
	}
	if _, err := dialFunc(Conninfo{}.With("keepalives_idle", "x"), 0); !errors.Is(err, ErrConninfo) {
		t.Errorf("a word is %v", err)
	}
}
