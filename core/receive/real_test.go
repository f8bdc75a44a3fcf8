package receive_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/barman-go/barman/core/postgres"
	"github.com/barman-go/barman/core/receive"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/test/lab"
)

// words keeps what a receiver says.
type words struct {
	mu   sync.Mutex
	text strings.Builder
}

func (w *words) add(kind, format string, args []any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fmt.Fprintf(&w.text, kind+": "+format+"\n", args...)
}

func (w *words) Info(format string, args ...any)    { w.add("INFO", format, args) }
func (w *words) Warning(format string, args ...any) { w.add("WARNING", format, args) }
func (w *words) Error(format string, args ...any)   { w.add("ERROR", format, args) }

func (w *words) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// running is a receiver in this process.
type running struct {
	*receive.Receiver
	words *words
	stop  context.CancelFunc
	ended chan error
}

// receiver prepares one for a server.
func receiver(t *testing.T, conninfo, slot, dir string) *running {
	t.Helper()
	info, err := postgres.ParseConninfo(conninfo)
	if err != nil {
		t.Fatal(err)
	}
	w := &words{}
	return &running{words: w, Receiver: &receive.Receiver{
		Server: "main", Dir: dir, WALs: t.TempDir(), Errors: t.TempDir(), Slot: slot, Out: w, Log: hclog.NewNullLogger(), Now: time.Now,
		Connect: func(ctx context.Context) (*postgres.ReplicationConn, error) {
			return postgres.ConnectReplication(ctx, info, "barman_receive_wal")
		},
		Ask: func(ctx context.Context) (receive.State, error) {
			conn, err := postgres.Connect(ctx, info, "barman")
			if err != nil {
				return receive.State{}, err
			}
			defer conn.Close()
			facts, err := conn.Facts(ctx, postgres.FactsOptions{Slot: slot})
			if err != nil {
				return receive.State{}, err
			}
			return receive.State{Slot: facts.Slot, Synchronous: facts.SynchronousStandbyNames()[0] != ""}, nil
		},
	}}
}

func (r *running) start(t *testing.T) *running {
	t.Helper()
	var ctx context.Context
	ctx, r.stop = context.WithCancel(t.Context())
	r.ended = make(chan error, 1)
	go func() { r.ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		r.stop()
		<-r.ended
		r.ended <- nil
	})
	return r
}

// end waits for a receiver that ends by itself.
func (r *running) end(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.ended:
		r.ended <- err
		return err
	case <-time.After(time.Minute):
		t.Fatalf("the receiver does not end; it said\n%s", r.words)
		return nil
	}
}

// finish stops a receiver in order.
func (r *running) finish(t *testing.T) {
	t.Helper()
	r.stop()
	if err := r.end(t); err != nil {
		t.Fatalf("the receiver ended with %v", err)
	}
}

// waitFlushed waits until everything that the server has written is durable here.
func (r *running) waitFlushed(t *testing.T, c *lab.Cluster) receive.Heartbeat {
	t.Helper()
	at, err := wal.ParseLSN(c.MustSQL(t, "SELECT pg_current_wal_flush_lsn()"))
	if err != nil {
		t.Fatal(err)
	}
	var beat receive.Heartbeat
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if beat, _, err = receive.ReadHeartbeat(r.Dir); err != nil {
			t.Fatal(err)
		}
		if beat.Phase == receive.Streaming && beat.Flushed >= at {
			return beat
		}
		select {
		case err := <-r.ended:
			r.ended <- err
			t.Fatalf("the receiver ended with %v", err)
		default:
		}
	}
	t.Fatalf("%s was never reached: %+v; the receiver said\n%s", at, beat, r.words)
	return beat
}

func cluster(t *testing.T, settings map[string]string) *lab.Cluster {
	t.Helper()
	return lab.StartCluster(t, lab.ClusterOptions{WALSegmentSizeMB: 1, Settings: settings})
}

func createSlot(t *testing.T, c *lab.Cluster, name string) {
	t.Helper()
	c.MustSQL(t, "SELECT pg_create_physical_replication_slot('"+name+"')")
}

// write makes about n segments of WAL.
func write(t *testing.T, c *lab.Cluster, n int) {
	t.Helper()
	c.MustSQL(t, fmt.Sprintf(`CREATE TABLE IF NOT EXISTS filler (text text);
		INSERT INTO filler SELECT repeat(md5(i::text), 30) FROM generate_series(1, %d) AS i`, 1000*n))
}

// content reads the WAL files of a directory; partial ones without the zeros at their end.
func content(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, e := range entries {
		if wal.IsFileName(e.Name()) {
			text, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			files[e.Name()] = text
		}
	}
	return files
}

// TestPgReceivewalWritesTheSame runs both side by side under load, across a promotion of the server, and compares their files. Then
// each goes on in the directory of the other.
func TestPgReceivewalWritesTheSame(t *testing.T) {
	primary := cluster(t, nil)
	standby := primary.StartStandby(t, lab.ClusterOptions{})
	write(t, primary, 1)
	if err := standby.WaitCaughtUp(t.Context(), primary); err != nil {
		t.Fatal(err)
	}
	createSlot(t, standby, "ours")
	createSlot(t, standby, "theirs")
	ours, theirs := lab.ScratchDir(t), lab.ScratchDir(t)
	tool := startPgReceivewal(t, standby, "theirs", theirs)
	r := receiver(t, standby.Conninfo("", ""), "ours", ours).start(t)
	// In an empty directory each begins where the server is when it connects.
	if err := standby.WaitSQL(t.Context(), "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'", "2"); err != nil {
		t.Fatal(err)
	}

	write(t, primary, 4)
	if err := standby.WaitCaughtUp(t.Context(), primary); err != nil {
		t.Fatal(err)
	}
	standby.MustSQL(t, "SELECT pg_promote()")
	write(t, standby, 4)
	standby.MustSQL(t, "SELECT pg_switch_wal()")
	write(t, standby, 1)
	beat := r.waitFlushed(t, standby)
	tool.waitFor(t, filepath.Join(theirs, beat.Segment+".partial"))
	r.finish(t)
	tool.stop(t)
	same(t, ours, theirs)
	if files := content(t, ours); files["00000002.history"] == nil || beat.Timeline != 2 {
		t.Errorf("no switch to timeline 2: %+v", beat)
	}

	// Each goes on where the other was. As root we own what we wrote, and pg_receivewal runs as another user.
	if os.Geteuid() == 0 {
		if err := exec.Command("chown", "-R", standby.Owner.Name, ours).Run(); err != nil {
			t.Fatal(err)
		}
	}
	tool = startPgReceivewal(t, standby, "ours", ours)
	r = receiver(t, standby.Conninfo("", ""), "theirs", theirs).start(t)
	write(t, standby, 3)
	beat = r.waitFlushed(t, standby)
	tool.waitFor(t, filepath.Join(ours, beat.Segment+".partial"))
	r.finish(t)
	tool.stop(t)
	same(t, ours, theirs)
}

// same compares two directories of WAL files. The receiver makes the file of the next segment when one is complete, pg_receivewal
// when its first WAL comes: a file without WAL does not count. How much each has of the last file depends on when it was stopped.
func same(t *testing.T, ours, theirs string) {
	t.Helper()
	a, b := content(t, ours), content(t, theirs)
	complete := 0
	for name := range a {
		if b[name] == nil && len(bytes.Trim(a[name], "\x00")) > 0 {
			t.Errorf("pg_receivewal has no %s", name)
		}
	}
	for name, text := range b {
		switch {
		case bytes.Equal(a[name], text):
			if !strings.HasSuffix(name, ".partial") {
				complete++
			}
		case !strings.HasSuffix(name, ".partial") || !samePrefix(a[name], text):
			t.Errorf("%s: %d bytes of pg_receivewal, %d of the receiver, and they differ", name, len(text), len(a[name]))
		}
	}
	if complete < 8 {
		t.Errorf("only %d complete segments were compared", complete)
	}
}

func samePrefix(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	x, y := bytes.TrimRight(a, "\x00"), bytes.TrimRight(b, "\x00")
	return bytes.HasPrefix(x, y) || bytes.HasPrefix(y, x)
}

// tool is a pg_receivewal.
type tool struct {
	cmd *exec.Cmd
	out bytes.Buffer
}

func startPgReceivewal(t *testing.T, c *lab.Cluster, slot, dir string) *tool {
	t.Helper()
	r := &tool{cmd: c.Tool(context.Background(), "pg_receivewal", "--dbname="+c.Conninfo("", ""), "--slot="+slot, "--directory="+dir,
		"--verbose", "--no-loop", "--no-password")}
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.out
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.cmd.Process.Kill() })
	return r
}

func (r *tool) stop(t *testing.T) {
	t.Helper()
	if err := r.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatalf("pg_receivewal had ended: %v\n%s", err, r.out.String())
	}
	if err := r.cmd.Wait(); err != nil {
		t.Fatalf("pg_receivewal: %v\n%s", err, r.out.String())
	}
}

// waitFor waits until it has written WAL to a file.
func (r *tool) waitFor(t *testing.T, path string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if text, err := os.ReadFile(path); err == nil && len(bytes.Trim(text, "\x00")) > 0 {
			return
		}
	}
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
	t.Fatalf("pg_receivewal never wrote %s; it said\n%s", path, r.out.String())
}
