package postgres_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/barman-go/barman/core/postgres"
	"github.com/barman-go/barman/test/lab"
)

// wire forwards TCP connections to a server until it is cut: then bytes are swallowed, as when a cable is pulled.
type wire struct {
	net.Listener
	cut     atomic.Bool
	pending sync.WaitGroup
}

func newWire(t *testing.T, port int) *wire {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{Listener: listener}
	t.Cleanup(func() {
		_ = listener.Close()
		w.pending.Wait()
	})
	w.pending.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port))
			if err != nil {
				_ = client.Close()
				return
			}
			t.Cleanup(func() { _ = errors.Join(client.Close(), server.Close()) })
			for _, pair := range [][2]net.Conn{{client, server}, {server, client}} {
				w.pending.Go(func() {
					_, _ = io.Copy(swallower{pair[1], &w.cut}, pair[0])
					_ = pair[1].Close()
				})
			}
		}
	})
	return w
}

type swallower struct {
	io.Writer
	cut *atomic.Bool
}

func (s swallower) Write(p []byte) (int, error) {
	if s.cut.Load() {
		return len(p), nil
	}
	return s.Writer.Write(p)
}

func TestAnUnreachableServerDoesNotHoldUpStopAndAbort(t *testing.T) {
	c := lab.StartCluster(t, lab.ClusterOptions{})
	for name, end := range map[string]func(*postgres.Backup) error{
		"abort": func(b *postgres.Backup) error { b.Abort(); return nil },
		"stop": func(b *postgres.Backup) error {
			ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, errGivenUp)
			defer cancel()
			if _, err := b.Stop(ctx); !errors.Is(err, errGivenUp) {
				return errors.Join(errors.New("stop did not return the context's cause"), err)
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire(t, c.Port)
			_, port, err := net.SplitHostPort(w.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			conn := connect(t, "host=127.0.0.1 sslmode=disable user=postgres dbname=postgres port="+port)
			backup, err := conn.StartBackup(t.Context(), "label", true)
			if err != nil {
				t.Fatal(err)
			}
			guarded, done := backup.Keepalive(t.Context(), time.Millisecond)
			w.cut.Store(true)
			time.Sleep(20 * time.Millisecond) // a probe is on its way now, and will wait half a minute for its answer
			ended := make(chan error, 1)
			go func() { ended <- end(backup) }()
			select {
			case err := <-ended:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(20 * time.Second):
				t.Fatal("it waits for the server")
			}
			done()
			if cause := context.Cause(guarded); !errors.Is(cause, context.Canceled) {
				t.Errorf("the guarded context ended with %v", cause)
			}
		})
	}
}

var errGivenUp = errors.New("given up")
