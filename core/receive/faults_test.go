package receive_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/receive"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/test/lab"
)

// wants checks that an error tells what is wrong and what to do.
func wants(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v does not say %q", err, part)
		}
	}
}

// stops runs a receiver that has to end by itself with an error.
func stops(t *testing.T, r *running, parts ...string) {
	t.Helper()
	err := r.start(t).end(t)
	wants(t, err, parts...)
	if beat, found, readErr := receive.ReadHeartbeat(r.Dir); readErr != nil || !found || beat.Phase != receive.Stopped || beat.Error != err.Error() {
		t.Errorf("the heartbeat does not say so: %+v, %v", beat, readErr)
	}
}

// TestWhatCannotBeReceivedEndsWithTheNextStep goes through the states of a slot and of the server's WAL.
func TestWhatCannotBeReceivedEndsWithTheNextStep(t *testing.T) {
	c := cluster(t, map[string]string{"max_slot_wal_keep_size": "2MB", "max_wal_size": "2MB", "min_wal_size": "2MB"})
	conninfo := c.Conninfo("", "")

	missing := receiver(t, conninfo, "main", t.TempDir())
	stops(t, missing, "replication slot 'main' doesn't exist. Please execute 'barman receive-wal --create-slot main'")

	auto := receiver(t, conninfo, "main", t.TempDir())
	auto.CreateSlot = true
	auto.start(t)
	write(t, c, 1)
	auto.waitFlushed(t, c)
	if !strings.Contains(auto.words.String(), "INFO: Creating replication slot 'main'") {
		t.Errorf("it said %s", auto.words)
	}
	stops(t, receiver(t, conninfo, "main", t.TempDir()), "replication slot 'main' is already in use")
	auto.finish(t)

	c.MustSQL(t, "SELECT pg_create_physical_replication_slot('other')")
	other := receiver(t, conninfo, "other", t.TempDir()).start(t)
	other.waitFlushed(t, c)
	other.finish(t)
	loseSlot(t, c)
	stops(t, receiver(t, conninfo, "main", auto.Dir), "replication slot 'main' is lost", "max_slot_wal_keep_size", "--drop-slot", "new backup")

	// Without a slot the server does not know what was not received.
	stops(t, receiver(t, conninfo, "", auto.Dir), "has already been removed", "'barman receive-wal --reset main'", "take a new backup")
	reset := receiver(t, conninfo, "", auto.Dir)
	if err := reset.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	reset.start(t).waitFlushed(t, c)
	reset.finish(t)
	if err := reset.Reset(t.Context()); err != nil || !strings.Contains(reset.words.String(), "Nothing to do. Position of receive-wal is aligned.") {
		t.Errorf("a second reset: %v, %s", err, reset.words)
	}
}

// loseSlot writes until the slots are invalidated.
func loseSlot(t *testing.T, c *lab.Cluster) {
	t.Helper()
	for range 20 {
		write(t, c, 3)
		c.MustSQL(t, "CHECKPOINT")
		if c.MustSQL(t, "SELECT bool_and(wal_status = 'lost') FROM pg_replication_slots") == "t" {
			return
		}
	}
	t.Fatal("no slot was ever lost")
}

func TestOtherClustersAreRefused(t *testing.T) {
	c, other := cluster(t, nil), cluster(t, nil)
	r := receiver(t, c.Conninfo("", ""), "", t.TempDir())
	r.SystemID = 42
	stops(t, r, "system identifier", "42", "another cluster")

	first := receiver(t, c.Conninfo("", ""), "", t.TempDir()).start(t)
	write(t, c, 2)
	first.waitFlushed(t, c)
	first.finish(t)
	before := content(t, first.Dir)
	// The same directory with another server.
	stops(t, receiver(t, other.Conninfo("", ""), "", first.Dir), "system identifier", "move the files of the other cluster away")
	for name, text := range before {
		if got := content(t, first.Dir)[name]; string(got) != string(text) {
			t.Errorf("%s was changed", name)
		}
	}
}

// TestARestartedServerIsConnectedToAgain kills and restarts the server under the receiver, which tells about it once each.
func TestARestartedServerIsConnectedToAgain(t *testing.T) {
	c := cluster(t, nil)
	createSlot(t, c, "main")
	r := receiver(t, c.Conninfo("", ""), "main", t.TempDir()).start(t)
	for range 2 {
		write(t, c, 2)
		r.waitFlushed(t, c)
		c.Kill9()
		for { // it notices
			if beat, _, err := receive.ReadHeartbeat(r.Dir); err != nil {
				t.Fatal(err)
			} else if beat.Phase == receive.Connecting && beat.Error != "" {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if err := c.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		write(t, c, 2)
		r.waitFlushed(t, c)
	}
	if err := c.Restart(t.Context()); err != nil { // a shutdown waits until the receiver has everything
		t.Fatal(err)
	}
	r.waitFlushed(t, c)
	r.finish(t)
	if said := r.words.String(); strings.Count(said, "WARNING") != 3 || strings.Count(said, "starting log streaming") != 4 {
		t.Errorf("it said\n%s", said)
	}
	if beat, _, err := receive.ReadHeartbeat(r.Dir); err != nil || beat.Flushed != beat.Received || beat.Phase != receive.Stopped {
		t.Errorf("after the end: %+v, %v", beat, err)
	}
}

// TestAFullDiskAcknowledgesNothing fills the file system under the receiver. It ends, and a commit that waits for it goes on waiting;
// with space again the next receiver goes on without a gap.
func TestAFullDiskAcknowledgesNothing(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a small file system")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("mount: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	c := cluster(t, nil)
	createSlot(t, c, "main")
	r := receiver(t, c.Conninfo("", ""), "main", dir).start(t)
	r.waitFlushed(t, c)
	write(t, c, 8)
	err := r.end(t)
	wants(t, err, ".partial")
	if !errors.Is(err, fsx.ErrNoSpace) {
		t.Errorf("a full disk is %v", err)
	}
	flushed, err := wal.ParseLSN(c.MustSQL(t, "SELECT restart_lsn FROM pg_replication_slots"))
	if err != nil {
		t.Fatal(err)
	}
	complete, end := 0, wal.LSN(0)
	for name := range content(t, dir) {
		if !strings.HasSuffix(name, ".partial") {
			segment, err := wal.ParseSegment(name)
			if err != nil {
				t.Fatal(err)
			}
			complete, end = complete+1, max(end, segment.EndLSN(1<<20))
			// What archive-wal would do.
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if complete == 0 || flushed > end {
		t.Errorf("%d complete segments up to %s, and %s was acknowledged", complete, end, flushed)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size=64m"); err != nil {
		t.Fatal(err)
	}
	again := receiver(t, c.Conninfo("", ""), "main", dir).start(t)
	again.waitFlushed(t, c)
	again.finish(t)
	for name, text := range content(t, dir) {
		if !strings.HasSuffix(name, ".partial") {
			if want, err := os.ReadFile(filepath.Join(c.Data, "pg_wal", name)); err != nil || string(want) != string(text) {
				t.Errorf("%s is not the server's: %v", name, err)
			}
		}
	}
}

// TestAReceiverLeavesSpaceFree ends a receiver before it takes space that is reserved: nothing of the next segment is acknowledged.
func TestAReceiverLeavesSpaceFree(t *testing.T) {
	dir := t.TempDir()
	c := cluster(t, nil)
	createSlot(t, c, "main")
	r := receiver(t, c.Conninfo("", ""), "main", dir)
	reserved := errors.New("reserved")
	asked := 0
	r.Room = func(need int64) error {
		if need != 1<<20 {
			t.Errorf("room for %d bytes was asked for, of a segment of 1 MiB", need)
		}
		if asked++; asked > 3 {
			return reserved
		}
		return nil
	}
	r.start(t)
	r.waitFlushed(t, c)
	write(t, c, 8)
	if err := r.end(t); !errors.Is(err, reserved) {
		t.Errorf("the receiver ended with %v", err)
	}
	files := content(t, dir)
	if len(files) != 3 {
		t.Errorf("%d files, want three", len(files))
	}
	for name := range files {
		if strings.HasSuffix(name, ".partial") {
			t.Errorf("%s took space that is reserved", name)
		}
	}
}

// TestStreamingOverTLS receives through an encrypted connection, where data comes in records.
func TestStreamingOverTLS(t *testing.T) {
	c := cluster(t, nil)
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip(err)
	}
	key, cert := filepath.Join(c.Data, "server.key"), filepath.Join(c.Data, "server.crt")
	make := c.Owner.Command(t.Context(), c.Dir, openssl, "req", "-new", "-x509", "-days", "2", "-nodes", "-subj", "/CN=localhost", "-keyout", key, "-out", cert)
	if out, err := make.CombinedOutput(); err != nil {
		t.Fatalf("openssl: %v\n%s", err, out)
	}
	if err := os.Chmod(key, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.Set(t.Context(), map[string]string{"ssl": "on"}); err != nil {
		t.Fatal(err)
	}
	createSlot(t, c, "main")
	r := receiver(t, c.Conninfo("", "")+" sslmode=require", "main", t.TempDir()).start(t)
	write(t, c, 6)
	r.waitFlushed(t, c)
	if got := c.MustSQL(t, "SELECT ssl FROM pg_stat_replication JOIN pg_stat_ssl USING (pid)"); got != "t" {
		t.Errorf("the connection is encrypted: %q", got)
	}
	r.finish(t)
	for name, text := range content(t, r.Dir) {
		if want, err := os.ReadFile(filepath.Join(c.Data, "pg_wal", strings.TrimSuffix(name, ".partial"))); err == nil && !samePrefix(want, text) {
			t.Errorf("%s is not the server's", name)
		}
	}
}

// TestAnOlderCopyOfTheServerTakesNothingAway replaces the server by a copy of its files from before: on the same timeline it sends other
// WAL for the segment that was being received. What was received from the lost server is kept.
func TestAnOlderCopyOfTheServerTakesNothingAway(t *testing.T) {
	c := cluster(t, nil)
	c.MustSQL(t, "CREATE TABLE t (name text)")
	if err := c.Stop(lab.Fast); err != nil {
		t.Fatal(err)
	}
	older := filepath.Join(lab.ScratchDir(t), "data")
	if out, err := exec.Command("cp", "-a", c.Data, older).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := receiver(t, c.Conninfo("", ""), "", t.TempDir()).start(t)
	c.MustSQL(t, "INSERT INTO t VALUES ('acknowledged and lost')")
	r.waitFlushed(t, c)
	r.finish(t)
	if err := c.Destroy(); err != nil {
		t.Fatal(err)
	}

	copied := lab.OpenCluster(t, older, lab.ClusterOptions{})
	copied.MustSQL(t, "INSERT INTO t VALUES ('another life')")
	again := receiver(t, copied.Conninfo("", ""), "", r.Dir).start(t)
	again.waitFlushed(t, copied)
	again.finish(t)
	kept, err := filepath.Glob(filepath.Join(again.Errors, "*.partial.*.duplicate"))
	if err != nil || len(kept) != 1 || !strings.Contains(again.words.String(), "WARNING: main: the server's WAL is not what was received before") {
		t.Fatalf("kept %v, %v; it said\n%s", kept, err, again.words)
	}
	if text, err := os.ReadFile(kept[0]); err != nil || !strings.Contains(string(text), "acknowledged and lost") {
		t.Errorf("the kept file does not have the lost row: %v", err)
	}
}
