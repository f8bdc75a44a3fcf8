package lock

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

const python = "/usr/bin/python3"

var backupLock = ForServer(Backup, "main")

// TestMain lets the test program play a process that holds a lock: see holdWithChild.
func TestMain(m *testing.M) {
	if dir := os.Getenv("LOCK_TEST_HOLD"); dir != "" {
		holdWithChild(dir)
	}
	os.Exit(m.Run())
}

// holdWithChild takes the lock, starts a long-lived child, reports the child's number and waits to be killed.
func holdWithChild(dir string) {
	if _, err := Acquire(context.Background(), dir, backupLock, false); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	child := exec.Command("sleep", "300")
	if err := child.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stdout, child.Process.Pid)
	time.Sleep(time.Hour) // select {} is a deadlock to the runtime, and would end the process before it is killed
}

func acquire(t *testing.T, dir string, name Name) *Lock {
	t.Helper()
	l, err := Acquire(t.Context(), dir, name, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Release(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func pathOf(t *testing.T, dir string, name Name) string {
	t.Helper()
	file, err := name.File()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, file)
}

// start runs a helper process until the test ends and returns its first line of output, which it writes when it holds
// its lock.
func start(t *testing.T, cmd *exec.Cmd) (firstLine string) {
	t.Helper()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("%s said nothing: %v", cmd.Path, err)
	}
	return strings.TrimSpace(line)
}

// pythonHolder takes the lock the way Python programs do.
func pythonHolder(t *testing.T, path string) *exec.Cmd {
	t.Helper()
	if _, err := os.Stat(python); err != nil {
		t.Skipf("no Python: %v", err)
	}
	const script = `
import fcntl, os, sys, time
fd = os.open(sys.argv[1], os.O_CREAT | os.O_RDWR, 0o600)
fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
text = b"%d\n" % os.getpid()
os.write(fd, text)
os.ftruncate(fd, len(text))
print("held", flush=True)
time.sleep(300)
`
	cmd := exec.Command(python, "-c", script, path)
	start(t, cmd)
	return cmd
}

func TestAcquireWritesThePIDAndKeepsTheFile(t *testing.T) {
	dir := t.TempDir()
	path := pathOf(t, dir, backupLock)
	l := acquire(t, dir, backupLock)
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%d\n", os.Getpid()); string(content) != want || info.Mode() != 0o600 {
		t.Errorf("content %q, mode %v; want %q", content, info.Mode(), want)
	}
	if err := l.Release(); err != nil {
		t.Errorf("second Release: %v", err)
	}
}

func TestAcquireCutsALongerOldNumber(t *testing.T) {
	dir := t.TempDir()
	path := pathOf(t, dir, backupLock)
	if err := os.WriteFile(path, []byte("123456789012345\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	acquire(t, dir, backupLock)
	content, err := os.ReadFile(path)
	if want := fmt.Sprintf("%d\n", os.Getpid()); err != nil || string(content) != want {
		t.Errorf("content %q, %v; want %q", content, err, want)
	}
}

func TestAcquireIsExclusiveInsideOneProcess(t *testing.T) {
	dir := t.TempDir()
	l := acquire(t, dir, backupLock)
	_, err := Acquire(t.Context(), dir, backupLock, false)
	busy, ok := errors.AsType[*BusyError](err)
	if !ok || !errors.Is(err, ErrBusy) || busy.Holder.PID != os.Getpid() {
		t.Fatalf("got %v", err)
	}
	acquire(t, dir, ForServer(Backup, "other")) // a different lock is free
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	acquire(t, dir, backupLock)
}

func TestThoseWhoShareKeepOutWhoWantsItAlone(t *testing.T) {
	dir := t.TempDir()
	name := ForBackup(BackupID, "main", id)
	first, err := Share(t.Context(), dir, name, false)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Share(t.Context(), dir, name, false)
	if err != nil {
		t.Fatalf("two cannot share: %v", err)
	}
	for _, l := range []*Lock{first, second} {
		var busy *BusyError
		if _, err := Acquire(t.Context(), dir, name, false); !errors.As(err, &busy) {
			t.Fatalf("a shared lock was taken: %v", err)
		}
		if busy.Holder.PID != os.Getpid() || busy.Holder.Command == "" || busy.Holder.Since.IsZero() {
			t.Errorf("holder %+v", busy.Holder)
		}
		if removed, err := Cleanup(dir); err != nil || len(removed) > 0 {
			t.Errorf("removed %q, %v", removed, err)
		}
		if err := l.Release(); err != nil {
			t.Fatal(err)
		}
	}
	acquire(t, dir, name)
	if _, err := Share(t.Context(), dir, name, false); !errors.Is(err, ErrBusy) {
		t.Errorf("shared with somebody who has it alone: %v", err)
	}
}

func TestPythonAndGoExcludeEachOther(t *testing.T) {
	dir := t.TempDir()
	path := pathOf(t, dir, backupLock)
	holder := pythonHolder(t, path)

	_, err := Acquire(t.Context(), dir, backupLock, false)
	busy, ok := errors.AsType[*BusyError](err)
	if !ok {
		t.Fatalf("got %v, want a BusyError", err)
	}
	if busy.Holder.PID != holder.Process.Pid || !strings.HasPrefix(busy.Holder.Command, python) || busy.Holder.Since.IsZero() {
		t.Errorf("holder %+v", busy.Holder)
	}
	if text := err.Error(); !strings.Contains(text, path) || !strings.Contains(text, fmt.Sprint(holder.Process.Pid)) {
		t.Errorf("message %q", text)
	}
	if held, pid, err := Probe(path); err != nil || !held || pid != holder.Process.Pid {
		t.Errorf("Probe = %v, %d, %v", held, pid, err)
	}

	// A lock dies with its holder, however that ends.
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	holder.Wait()
	if held, _, err := Probe(path); err != nil || held {
		t.Errorf("Probe after the holder was killed = %v, %v", held, err)
	}
	acquire(t, dir, backupLock)

	const try = "import fcntl, sys\nfcntl.flock(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
	out, err := exec.Command(python, "-c", try, path).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "BlockingIOError") {
		t.Errorf("Python took our lock: %v\n%s", err, out)
	}
}

func TestChildrenDoNotKeepTheLockOfAKilledParent(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(self)
	parent.Env = append(os.Environ(), "LOCK_TEST_HOLD="+dir)
	var child int
	if _, err := fmt.Sscan(start(t, parent), &child); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Kill(child, unix.SIGKILL) })
	if held, pid, err := Probe(pathOf(t, dir, backupLock)); err != nil || !held || pid != parent.Process.Pid {
		t.Fatalf("Probe = %v, %d, %v", held, pid, err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	parent.Wait()
	if err := unix.Kill(child, 0); err != nil {
		t.Fatalf("the child is gone, so this proves nothing: %v", err)
	}
	acquire(t, dir, backupLock)
}

func TestAcquireWaits(t *testing.T) {
	dir := t.TempDir()
	name := ForServer(XLogDB, "main")
	held := acquire(t, dir, name)
	got := make(chan error, 1)
	go func() {
		l, err := Acquire(t.Context(), dir, name, true)
		if err == nil {
			err = l.Release()
		}
		got <- err
	}()
	waitForWaiter(t, held)
	select {
	case err := <-got:
		t.Fatalf("did not wait: %v", err)
	default:
	}
	if err := held.Release(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
}

func TestAcquireStopsWaitingWhenCancelled(t *testing.T) {
	dir := t.TempDir()
	name := ForServer(XLogDB, "main")
	held := acquire(t, dir, name)
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error, 1)
	go func() {
		_, err := Acquire(ctx, dir, name, true)
		got <- err
	}()
	waitForWaiter(t, held)
	cancel()
	if err := <-got; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	// The abandoned request must not keep the lock once it gets it.
	if err := held.Release(); err != nil {
		t.Fatal(err)
	}
	l, err := Acquire(t.Context(), dir, name, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Release(); err != nil {
		t.Error(err)
	}
}

// waitForWaiter returns when another request queues in the kernel for the lock.
func waitForWaiter(t *testing.T, held *Lock) {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Fstat(int(held.file.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	inode := fmt.Sprintf(":%d ", st.Ino)
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		locks, err := os.ReadFile("/proc/locks")
		if err != nil {
			t.Skipf("cannot see who waits: %v", err)
		}
		for line := range strings.Lines(string(locks)) {
			if strings.Contains(line, "-> FLOCK") && strings.Contains(line, inode) {
				return
			}
		}
	}
	t.Fatal("nobody waits for the lock")
}

func TestWaiterNoticesThatTheFileWasRemoved(t *testing.T) {
	dir := t.TempDir()
	name := ForServer(XLogDB, "main")
	held := acquire(t, dir, name)
	got := make(chan *Lock, 1)
	go func() {
		l, err := Acquire(t.Context(), dir, name, true)
		if err != nil {
			t.Error(err)
		}
		got <- l
	}()
	waitForWaiter(t, held)
	if err := held.Remove(); err != nil {
		t.Fatal(err)
	}
	l := <-got
	if l == nil {
		return
	}
	if !stillNamed(l.file, pathOf(t, dir, name)) {
		t.Error("the waiter holds a file that nobody else will lock")
	}
	if err := l.Release(); err != nil {
		t.Error(err)
	}
}

func TestExclusionSurvivesCleanup(t *testing.T) {
	dir := t.TempDir()
	name := ForServer(XLogDB, "main")
	done := make(chan struct{})
	var cleaner, workers sync.WaitGroup
	cleaner.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				if _, err := Cleanup(dir); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	const perWorker, count = 100, 8
	var inside, total atomic.Int32 // atomic only because the race detector knows nothing of flock
	for range count {
		workers.Go(func() {
			for range perWorker {
				l, err := Acquire(t.Context(), dir, name, true)
				if err != nil {
					t.Error(err)
					return
				}
				if n := inside.Add(1); n != 1 {
					t.Errorf("%d holders at once", n)
				}
				runtime.Gosched()
				total.Add(1)
				inside.Add(-1)
				if err := l.Release(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	workers.Wait()
	close(done)
	cleaner.Wait()
	if got := total.Load(); got != perWorker*count {
		t.Errorf("%d turns, want %d", got, perWorker*count)
	}
}

func TestProbeLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	path := pathOf(t, dir, backupLock)
	if held, pid, err := Probe(path); err != nil || held || pid != 0 {
		t.Errorf("missing file: %v, %d, %v", held, pid, err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Probe made a file: %v", err)
	}
	if err := os.WriteFile(path, []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if held, pid, err := Probe(path); err != nil || held || pid != 0 {
		t.Errorf("free file: %v, %d, %v", held, pid, err)
	}
	acquire(t, dir, backupLock)
}

func TestListShowsOnlyThisServersLocks(t *testing.T) {
	dir := t.TempDir()
	acquire(t, dir, ForServer(Backup, "pg-x"))
	acquire(t, dir, ForServer(ReceiveWAL, "pg"))
	acquire(t, dir, ForBackup(BackupID, "pg", id))
	acquire(t, dir, ForServer(Cron, "pg"))
	if err := acquire(t, dir, ForServer(Backup, "pg")).Release(); err != nil {
		t.Fatal(err)
	}
	held, err := List(dir, "pg")
	if err != nil {
		t.Fatal(err)
	}
	var got []Name
	for _, h := range held {
		got = append(got, h.Name)
		if h.Holder.PID != os.Getpid() || h.Holder.Command == "" {
			t.Errorf("%s: holder %+v", h.Path, h.Holder)
		}
	}
	want := []Name{ForServer(Cron, "pg"), ForBackup(BackupID, "pg", id), ForServer(ReceiveWAL, "pg")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if held, err := List(filepath.Join(dir, "none"), "pg"); err != nil || held != nil {
		t.Errorf("missing directory: %v, %v", held, err)
	}
}

func TestCleanupKeepsHeldAndForeignFiles(t *testing.T) {
	dir := t.TempDir()
	acquire(t, dir, backupLock)
	for _, file := range []string{".main-cron.lock", ".a-b-20250131T020000.lock", ".config-update.lock", ".s.PGSQL.5432.lock", "main-cron.lock"} {
		if err := os.WriteFile(filepath.Join(dir, file), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	removed, err := Cleanup(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{".a-b-20250131T020000.lock", ".config-update.lock", ".main-cron.lock"}
	if diff := cmp.Diff(want, removed); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, file := range []string{".main-backup.lock", ".s.PGSQL.5432.lock", "main-cron.lock"} {
		if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
			t.Error(err)
		}
	}
}

func TestRemoveTakesTheFileAway(t *testing.T) {
	dir := t.TempDir()
	l := acquire(t, dir, ForBackup(BackupID, "main", id))
	for range 2 {
		if err := l.Remove(); err != nil {
			t.Fatal(err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

func TestAcquireErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := Acquire(t.Context(), filepath.Join(dir, "none"), backupLock, false); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing directory: %v", err)
	}
	target := filepath.Join(dir, "precious")
	if err := os.WriteFile(target, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, pathOf(t, dir, backupLock)); err != nil {
		t.Fatal(err)
	}
	if _, err := Acquire(t.Context(), dir, backupLock, false); !errors.Is(err, unix.ELOOP) {
		t.Errorf("symbolic link: %v", err)
	}
	if content, err := os.ReadFile(target); err != nil || string(content) != "data" {
		t.Errorf("the link's target holds %q, %v", content, err)
	}
}

func TestPermissionIsTyped(t *testing.T) {
	dir := t.TempDir()
	path := pathOf(t, dir, backupLock)
	if err := os.WriteFile(path, nil, 0o400); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		// For root every file is open; let this thread's file accesses be those of nobody.
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		runtime.LockOSThread() // never unlocked, so the thread ends with the test
		if err := unix.Setfsuid(65534); err != nil {
			t.Fatal(err)
		}
		defer unix.Setfsuid(0)
	}
	_, err := Acquire(t.Context(), dir, backupLock, false)
	permission, ok := errors.AsType[*PermissionError](err)
	if !ok || permission.Path != path || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v", err)
	}
}
