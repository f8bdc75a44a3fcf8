package e2e

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/barman-go/barman/core/receive"
	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// streamingServer are the options of a server whose WAL is only streamed.
func streamingServer(primary *lab.Cluster, more map[string]any) map[string]any {
	options := map[string]any{
		"archiver": false, "streaming_archiver": true, "slot_name": "barman", "streaming_conninfo": primary.Conninfo("", ""),
	}
	for name, v := range more {
		options[name] = v
	}
	return localServer(primary, options)
}

// streamed starts a server and a host that receives its WAL as "main", in a process that cron has started.
func streamed(t *testing.T, settings map[string]string) (*backuphost.Host, *lab.Cluster) {
	t.Helper()
	host := backuphost.New(t)
	primary := lab.StartCluster(t, lab.ClusterOptions{WALSegmentSizeMB: 1, Settings: settings})
	host.Configure(t, backuphost.Server("main", streamingServer(primary, nil)))
	host.Must(t, "receive-wal", "--create-slot", "main")
	startReceiver(t, host)
	return host, primary
}

// startReceiver lets cron start receive-wal, and waits until WAL flows.
func startReceiver(t *testing.T, host *backuphost.Host) {
	t.Helper()
	t.Cleanup(func() {
		// It may have been stopped already. The test's own context is over.
		_ = host.Command(context.Background(), "receive-wal", "--stop", "main").Run()
	})
	host.Must(t, "cron")
	waitStreaming(t, host)
}

func waitStreaming(t *testing.T, host *backuphost.Host) receive.Heartbeat {
	t.Helper()
	return waitBeat(t, host, func(b receive.Heartbeat) bool { return b.Phase == receive.Streaming })
}

// waitBeat waits for a heartbeat.
func waitBeat(t *testing.T, host *backuphost.Host, good func(receive.Heartbeat) bool) receive.Heartbeat {
	t.Helper()
	var last receive.Heartbeat
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		beat, found, err := receive.ReadHeartbeat(host.Layout("main").Streaming)
		if err != nil {
			t.Fatal(err)
		}
		if last = beat; found && good(beat) {
			return beat
		}
	}
	t.Fatalf("the receiver never came so far: %+v", last)
	return last
}

// TestStreamingFromTheFirstStartToTheLastStop is the life of a receiver: a slot, cron, check, a switched segment in the archive, a
// second process that is refused, a backup and its recovery from streamed WAL alone, stop.
func TestStreamingFromTheFirstStartToTheLastStop(t *testing.T) {
	host := backuphost.New(t)
	primary := lab.StartCluster(t, lab.ClusterOptions{WALSegmentSizeMB: 1})
	host.Configure(t, backuphost.Server("main", streamingServer(primary, nil)))

	host.Refused(t, 1, []string{"replication slot 'barman' doesn't exist. Please execute 'barman receive-wal --create-slot main'"}, "receive-wal", "main")
	host.Refused(t, 1, []string{"Termination of receive-wal failed: no such process for server main"}, "receive-wal", "--stop", "main")
	host.Refused(t, 1, []string{"--stop and --reset options are not compatible"}, "receive-wal", "--stop", "--reset", "main")
	if out := host.Must(t, "receive-wal", "--create-slot", "main"); !strings.Contains(out, "Replication slot 'barman' created") {
		t.Errorf("create-slot said %q", out)
	}
	host.Refused(t, 1, []string{"Replication slot 'barman' already exists"}, "receive-wal", "--create-slot", "main")
	host.Must(t, "receive-wal", "--create-slot", "--if-not-exists", "main")
	host.Refused(t, 1, []string{"receive-wal running: FAILED"}, "check", "main")

	startReceiver(t, host)
	host.Refused(t, 1, []string{"Another receive-wal process is already running for server main."}, "receive-wal", "main")
	host.Refused(t, 1, []string{"Unable to reset the status of receive-wal for server main. Process is still running"}, "receive-wal", "--reset", "main")
	host.Refused(t, 1, []string{"Cannot drop replication slot 'barman' on server 'main' because it is in use."}, "receive-wal", "--drop-slot", "main")

	host.Must(t, "switch-wal", "--force", "--archive", "main")
	if out := host.Must(t, "check", "main"); !strings.Contains(out, "receive-wal running: OK") || !strings.Contains(out, "replication slot: OK") {
		t.Errorf("check says\n%s", out)
	}
	host.Must(t, "backup", "--wait", "main")
	ledger := primary.StartLedger(t, lab.LedgerOptions{Writers: 2})
	if err := ledger.WaitCommits(t.Context(), 200); err != nil {
		t.Fatal(err)
	}
	if err := ledger.Stop(); err != nil {
		t.Fatal(err)
	}
	host.Must(t, "switch-wal", "--force", "--archive", "main")
	restored := startRestored(t, host, "latest")
	if err := ledger.AtEnd().Compare(restored.LedgerRows(t)); err != nil {
		t.Error(err)
	}
	if out := host.Must(t, "receive-wal", "--stop", "main"); !strings.Contains(out, "Stopped process receive-wal(") {
		t.Errorf("stop said %q", out)
	}
	if beat, _, err := receive.ReadHeartbeat(host.Layout("main").Streaming); err != nil || beat.Phase != receive.Stopped || beat.Error != "" || beat.Flushed != beat.Received {
		t.Errorf("after the stop the heartbeat is %+v, %v", beat, err)
	}
	host.Must(t, "receive-wal", "--drop-slot", "main")
	host.Refused(t, 1, []string{"Replication slot 'barman' does not exist"}, "receive-wal", "--drop-slot", "main")
}

// TestCronKeepsAReceiverAlive kills the receiver, which check and status notice, and cron starts the next; where streaming is switched
// off, cron stops it.
func TestCronKeepsAReceiverAlive(t *testing.T) {
	host, primary := streamed(t, nil)
	host.Must(t, "switch-wal", "--force", "--archive", "main")
	if out := host.Must(t, "status", "main"); !strings.Contains(out, "WAL receiver: process ") || !strings.Contains(out, "streaming since") {
		t.Errorf("status says\n%s", out)
	}
	if out := host.Must(t, "show-servers", "main"); !strings.Contains(out, "streaming_archiver_name: barman_receive_wal") {
		t.Errorf("show-servers says\n%s", out)
	}
	first := waitStreaming(t, host)
	if err := syscall.Kill(first.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := primary.WaitSQL(t.Context(), "SELECT active FROM pg_replication_slots", "f"); err != nil {
		t.Fatal(err)
	}
	host.Refused(t, 1, []string{"receive-wal running: FAILED", "slot 'barman' not active: is 'receive-wal' running?"}, "check", "main")
	if out := host.Must(t, "status", "main"); !strings.Contains(out, "WAL receiver: not running") {
		t.Errorf("status says\n%s", out)
	}
	if out := host.Must(t, "cron"); !strings.Contains(out, "Starting streaming archiver for server main") {
		t.Errorf("cron said\n%s", out)
	}
	second := waitBeat(t, host, func(b receive.Heartbeat) bool { return b.PID != first.PID && b.Phase == receive.Streaming })
	host.Must(t, "check", "main")
	if out := host.Must(t, "cron"); strings.Contains(out, "Starting streaming archiver") {
		t.Errorf("cron starts a second receiver:\n%s", out)
	}

	checkLogRotation(t, host, second.PID)

	// A server that is gone is not OK either, although the process lives.
	if err := primary.Stop(lab.Fast); err != nil {
		t.Fatal(err)
	}
	waitBeat(t, host, func(b receive.Heartbeat) bool { return b.Phase == receive.Connecting && b.Error != "" })
	host.Refused(t, 1, []string{"receive-wal running: FAILED (not connected since"}, "check", "main")
	if err := primary.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if beat := waitStreaming(t, host); beat.PID != second.PID {
		t.Errorf("another process receives now: %+v", beat)
	}

	host.Configure(t, backuphost.Server("main", streamingServer(primary, map[string]any{"streaming_archiver": false, "archiver": true})))
	host.Must(t, "cron")
	waitBeat(t, host, func(b receive.Heartbeat) bool { return b.PID == second.PID && b.Phase == receive.Stopped })
	host.Refused(t, 1, []string{"streaming_archiver option set to 'off'"}, "receive-wal", "main")
}

// checkLogRotation renames the log of a receiver, and tells it so.
func checkLogRotation(t *testing.T, host *backuphost.Host, pid int) {
	t.Helper()
	if signal.Ignored(syscall.SIGHUP) {
		return // somebody has started the tests with nohup
	}
	if err := errors.Join(os.Rename(host.LogFile(), host.LogFile()+".1"), syscall.Kill(pid, syscall.SIGHUP)); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(host.LogFile()); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the receiver does not open its log again")
		}
	}
	if beat := waitStreaming(t, host); beat.PID != pid {
		t.Errorf("SIGHUP has ended process %d: %+v", pid, beat)
	}
}
