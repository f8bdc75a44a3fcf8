package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/faults/internal/faultfs"
	"github.com/barman-go/barman/test/lab"
)

// flushed is a mark in the log of a disk: a receiver has told the server that it has all WAL before this position on its disk.
type flushed wal.LSN

// receiverSite is a site with a server, whose WAL it receives through a proxy that marks what the receiver says.
type receiverSite struct {
	*site
	primary *lab.Cluster
	kept    string
	// said is the last flush position.
	said atomic.Uint64
}

func newReceiverSite(t *testing.T) *receiverSite {
	t.Helper()
	s := &receiverSite{site: &site{Host: backuphost.New(t), compression: "none", truth: map[string][]byte{}}}
	s.kept = filepath.Join(s.Dir, "kept")
	s.MakeDir(t, s.kept)
	s.freshDisk(t)
	s.primary = lab.StartCluster(t, lab.ClusterOptions{
		WALSegmentSizeMB: 1, ArchiveCommand: "cp %p " + s.kept + "/%f",
		// The receiver syncs after every commit, and the test's own sessions do not wait for it.
		Settings: map[string]string{"synchronous_standby_names": "barman_receive_wal", "synchronous_commit": "local"},
	})
	proxy := &flushProxy{server: fmt.Sprintf("127.0.0.1:%d", s.primary.Port), said: func(lsn wal.LSN) {
		if lsn != 0 {
			s.disk.Mark(flushed(lsn))
			s.said.Store(uint64(lsn))
		}
	}}
	s.Configure(t, backuphost.Server("main", map[string]any{
		"conninfo":           s.primary.Conninfo("", ""),
		"streaming_conninfo": fmt.Sprintf("host=127.0.0.1 port=%d user=postgres dbname=postgres sslmode=disable", proxy.start(t)),
		"backup_method":      "postgres", "streaming_archiver": true, "archiver": false, "slot_name": "barman", "compression": "none",
	}))
	s.Must(t, "receive-wal", "--create-slot", "main")
	return s
}

// TestPowerLossWhileReceiving records what receive-wal does to the disk while it is killed, stopped, and met by errors of the disk, and
// loses the power after each step: all WAL that it had told the server to be flushed has to be there.
func TestPowerLossWhileReceiving(t *testing.T) {
	s, random := newReceiverSite(t), lab.NewRandom(t)
	s.receive(t, 0, nil)
	for _, f := range faults {
		s.receive(t, 1+random.IntN(8), &f)
	}
	s.receive(t, 0, &fault{name: "kill -9", errno: syscall.EINTR})
	s.receive(t, 0, nil)
	s.Must(t, "archive-wal", "main")

	w := newWALWitness(s.truth)
	w.received = s.wholeTruth(t)
	log := s.disk.Log()
	t.Logf("%d steps, WAL up to %s", len(log), wal.LSN(s.said.Load()))
	if err := w.replay(s.disk.Base(), log); err != nil {
		t.Fatal(err)
	}
	if w.position == 0 || len(w.promised) < 3 {
		t.Errorf("too little was received: %v, position %s", w.promised, w.position)
	}
	checkIndex(t, s.Layout("main"))
	checkNoTemps(t, s.Home)
}

// receive runs a receiver while the server writes WAL, until it has told that it has all of that, or until a fault has ended it: one that
// the disk has at an operation, or a kill.
func (s *receiverSite) receive(t *testing.T, step int, f *fault) {
	t.Helper()
	n := 0
	hit := make(chan faultfs.Op, 1)
	if f != nil && step > 0 {
		s.disk.Before(func(op faultfs.Op) syscall.Errno {
			if !slices.Contains(f.kinds, op.Kind) {
				return 0
			}
			if n++; n < step || n > step && !f.stays {
				return 0
			}
			if n == step {
				hit <- op
			}
			return f.errno
		})
	}
	cmd := s.Command(t.Context(), "receive-wal", "main")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // how it ended is in the log
	}()
	target := s.write(t, ended)
	switch {
	case f == nil:
		s.waitSaid(t, target)
		_ = cmd.Process.Signal(syscall.SIGINT)
	case step == 0:
		_ = cmd.Process.Kill()
	default:
		select {
		case op := <-hit:
			t.Logf("%s: %s", f.name, op)
		default:
			t.Logf("%s: there was no step %d", f.name, step)
		}
		// Some errors end it, after others it tries again, which must not help on such a disk.
		select {
		case <-ended:
		case <-time.After(300 * time.Millisecond):
			_ = cmd.Process.Kill()
		}
	}
	<-ended
	s.disk.Before(nil)
	t.Logf("the receiver ended with %s", cmd.ProcessState)
}

// write makes two segments of WAL in small pieces, and returns where they end. It ends early with the receiver.
func (s *receiverSite) write(t *testing.T, ended <-chan struct{}) wal.LSN {
	t.Helper()
	for range 12 {
		select {
		case <-ended:
		default:
			s.primary.MustSQL(t, "SELECT pg_logical_emit_message(true, 'fill', repeat(md5(random()::text), 5000))")
		}
	}
	lsn, err := wal.ParseLSN(s.primary.MustSQL(t, "SELECT pg_current_wal_flush_lsn()"))
	if err != nil {
		t.Fatal(err)
	}
	return lsn
}

func (s *receiverSite) waitSaid(t *testing.T, target wal.LSN) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); wal.LSN(s.said.Load()) < target; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the receiver has said %s after a minute, want %s", wal.LSN(s.said.Load()), target)
		}
	}
}

// wholeTruth collects the server's WAL: complete segments, and the one that it writes to. It returns the first segment.
func (s *receiverSite) wholeTruth(t *testing.T) (first wal.Segment) {
	t.Helper()
	current := s.primary.MustSQL(t, "SELECT pg_walfile_name(pg_current_wal_lsn())")
	content, err := os.ReadFile(filepath.Join(s.primary.Data, "pg_wal", current))
	if err != nil {
		t.Fatal(err)
	}
	s.truth[current] = content
	s.primary.MustSQL(t, "SELECT pg_switch_wal()")
	if err := s.primary.WaitSQL(t.Context(), "SELECT last_archived_wal >= '"+current+"' FROM pg_stat_archiver", "t"); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(s.kept, "0*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range names {
		if name := filepath.Base(path); name < current {
			if s.truth[name], err = os.ReadFile(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	oldest := ""
	for _, dir := range []string{s.Layout("main").WALs, s.Layout("main").Streaming} {
		for path := range regularFiles(t, dir) {
			if name := filepath.Base(path); wal.IsFileName(name) && len(name) >= 24 && (oldest == "" || name[:24] < oldest) {
				oldest = name[:24]
			}
		}
	}
	if first, err = wal.ParseSegment(oldest); err != nil {
		t.Fatal(err)
	}
	return first
}
