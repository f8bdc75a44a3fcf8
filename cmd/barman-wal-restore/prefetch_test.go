package main

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/core/wal"
)

func TestARecoveryNeedsTwoConnections(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	r.fill(12)
	for i := 1; i <= 12; i++ {
		r.must(segmentName(i), "-p", "3")
		if n := len(r.ready()); n > 3 {
			t.Errorf("%d files wait, want at most 3", n)
		}
	}
	r.until("the end of the prefetcher at the end of the archive", func() bool { return r.prefetcher() == 0 })
	if calls := r.calls(); len(calls) != 2 || !strings.Contains(calls[1], "--tar") {
		t.Errorf("the calls of ssh are:\n%s", strings.Join(calls, "\n"))
	}
	r.refused(1, "not found", segmentName(13), "-p", "3")
	if r.prefetcher() != 0 {
		t.Error("a prefetcher was started behind the end of the archive")
	}
}

func TestTheSpoolIsBounded(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	r.fill(40)
	full := func(from, to int) func() bool {
		var want []string
		for i := from; i <= to; i++ {
			want = append(want, segmentName(i))
		}
		return func() bool { return slices.Equal(r.ready(), want) }
	}
	r.must(segmentName(1), "-p", "3")
	r.until("three files", full(2, 4))
	r.must(segmentName(2), "-p", "3")
	r.until("three files", full(3, 5))
	r.must(segmentName(30), "-p", "3") // PostgreSQL is elsewhere
	r.until("three files there", full(31, 33))
	r.must(segmentName(2), "-p", "3") // and starts again
	r.until("three files at the beginning", full(3, 5))
	if r.prefetcher() == 0 {
		t.Error("the prefetcher has not waited for more requests")
	}
}

// TestTheRequestDoesNotWaitForThePrefetcher: the client has ended and its output is closed while the prefetcher is at work. The
// request for what is being fetched waits for it, instead of fetching it twice.
func TestTheRequestDoesNotWaitForThePrefetcher(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	r.fill(5)
	hold := filepath.Join(r.dir, "hold")
	check(t, os.WriteFile(hold, nil, 0o600))
	r.env = append(r.env, "HOLD="+hold)
	r.must(segmentName(1), "-p", "2") // waits for the end of its output, too
	pid := r.prefetcher()
	if pid == 0 {
		t.Fatal("nothing is fetched ahead")
	}
	if session, err := syscall.Getpgid(pid); err != nil || session != pid {
		t.Errorf("the prefetcher is in process group %d (%v)", session, err)
	}
	if dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)); err != nil || dir != "/" {
		t.Errorf("it stands in %s (%v)", dir, err)
	}
	done := make(chan string)
	go func() {
		code, _, stderr := r.run(segmentName(2), "-p", "2")
		done <- fmt.Sprint(code, stderr)
	}()
	select {
	case got := <-done:
		t.Fatalf("the second request did not wait: %s", got)
	case <-time.After(300 * time.Millisecond):
	}
	check(t, os.Remove(hold))
	if got := <-done; got != "0" {
		t.Errorf("the second request: %s", got)
	}
	r.want(segment(segmentName(2)))
	if calls := r.calls(); len(calls) != 2 {
		t.Errorf("the calls of ssh are:\n%s", strings.Join(calls, "\n"))
	}
}

// TestADeadPrefetcherIsNotWaitedFor kills it while a request waits for it.
func TestADeadPrefetcherIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	r.fill(3)
	hold := filepath.Join(r.dir, "hold")
	check(t, os.WriteFile(hold, nil, 0o600))
	r.env = append(r.env, "HOLD="+hold)
	r.must(segmentName(1), "-p", "2")
	go func() {
		time.Sleep(100 * time.Millisecond)
		_ = syscall.Kill(r.prefetcher(), syscall.SIGKILL)
	}()
	r.must(segmentName(2), "-p", "2")
	check(t, os.Remove(hold))
}

// damage puts a file into the spool that must not be used.
func (r *receiver) damage(name string, content []byte, sum uint32, age time.Duration) {
	r.t.Helper()
	for _, e := range r.spool().entries() {
		if e.name.String() == name {
			check(r.t, os.Remove(e.path))
		}
	}
	path := r.spool().path(fmt.Sprintf("%s.%08x", name, sum))
	check(r.t, os.WriteFile(path, content, 0o600))
	at := time.Now().Add(-age)
	check(r.t, os.Chtimes(path, at, at))
}

func TestNothingUnsoundComesFromTheSpool(t *testing.T) {
	name := segmentName(2)
	good, foreign := segment(name), segment(segmentName(9))
	flipped := bytes.Clone(good)
	flipped[len(flipped)-1] ^= 1
	torn := append(bytes.Clone(good[:mib/2]), make([]byte, mib/2)...) // after a loss of power
	sum := func(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }
	for what, test := range map[string]struct {
		content []byte
		sum     uint32
		age     time.Duration
		warns   bool
	}{
		"a bit has changed":               {flipped, sum(good), 0, true},
		"half of it was never written":    {torn, sum(good), 0, true},
		"it is cut":                       {good[:mib/2], sum(good[:mib/2]), 0, true},
		"it is empty":                     {nil, sum(nil), 0, true},
		"it is another segment":           {foreign, sum(foreign), 0, true},
		"the archive may have changed it": {append(bytes.Clone(good[:mib-1]), 1), sum(append(bytes.Clone(good[:mib-1]), 1)), 2 * maxAge, false},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t)
			r.fill(3)
			r.must(segmentName(1), "-p", "2")
			r.until("files", func() bool { return len(r.ready()) == 2 })
			r.waitForPrefetcher()
			r.damage(name, test.content, test.sum, test.age)
			code, _, stderr := r.run(name)
			if code != 0 || strings.Contains(stderr, "WARNING: a file that was fetched ahead is damaged") != test.warns {
				t.Errorf("exit code %d, %q", code, stderr)
			}
			r.want(good)
		})
	}
}

// TestEachServerAndDestinationHasItsSpool: the name of a segment says nothing about whose it is.
func TestEachServerAndDestinationHasItsSpool(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	r.fill(4)
	r.must(segmentName(1), "-p", "2")
	r.until("files", func() bool { return len(r.ready()) == 2 })
	before := len(r.calls())
	for i, change := range []func(o *receiver, args []string) []string{
		func(_ *receiver, args []string) []string { return append(args, "--user", "other") },
		func(_ *receiver, args []string) []string { return append(args, "--config", "/other") },
		func(_ *receiver, args []string) []string { return append(args, "--port", "23") },
		func(o *receiver, args []string) []string {
			o.dest = filepath.Join(r.dir, "other", "RECOVERYXLOG")
			check(t, os.MkdirAll(filepath.Dir(o.dest), 0o700))
			return args
		},
	} {
		o := *r
		o.must(segmentName(2), change(&o, nil)...)
		if len(r.calls()) != before+i+1 {
			t.Errorf("change %d: the file came from a spool that is not its own", i)
		}
	}
	r.must(segmentName(2))
	if len(r.calls()) != before+4 {
		t.Error("the file did not come from its spool")
	}
}

func TestASpoolThatOthersCanWriteIsNotUsed(t *testing.T) {
	for what, prepare := range map[string]func(t *testing.T, base string){
		"open to all": func(t *testing.T, base string) { check(t, firstError(os.Mkdir(base, 0o700), os.Chmod(base, 0o777))) },
		"a link":      func(t *testing.T, base string) { check(t, os.Symlink(t.TempDir(), base)) },
		"a file":      func(t *testing.T, base string) { check(t, os.WriteFile(base, nil, 0o600)) },
		"another user's": func(t *testing.T, base string) {
			if os.Geteuid() != 0 {
				t.Skip("only root can give a directory away")
			}
			check(t, firstError(os.Mkdir(base, 0o700), os.Chown(base, 65534, 65534)))
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t)
			r.fill(2)
			prepare(t, r.base)
			code, _, stderr := r.run(segmentName(1), "-p", "2")
			if code != 0 || !strings.Contains(stderr, "WARNING: nothing is fetched ahead: "+r.base) {
				t.Errorf("exit code %d, %q", code, stderr)
			}
			r.want(segment(segmentName(1)))
		})
	}
}

func firstError(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestPythonsBarmanIsAskedForOneFileAtATime has a server that knows no get-wal --tar.
func TestPythonsBarmanIsAskedForOneFileAtATime(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	r.fill(10)
	r.env = append(r.env, "PYTHON=1")
	for i := 1; i <= 10; i++ {
		r.must(segmentName(i), "-p", "4")
	}
	r.until("the end", func() bool { return r.prefetcher() == 0 })
	calls := strings.Join(r.calls(), "\n")
	if strings.Count(calls, "--tar") != 1 || !strings.Contains(calls, "--peek") {
		t.Errorf("the calls of ssh are:\n%s", calls)
	}
	for i := 1; i <= 10; i++ {
		if n := strings.Count(calls, "get-wal 'main' '"+segmentName(i)+"'"); n != 1 {
			t.Errorf("%s was fetched %d times", segmentName(i), n)
		}
	}
}

// TestWhatARequestHasJustTakenIsNotFetchedAgain: between the moment a request takes a file and the one it tells how far PostgreSQL
// has come, the file is neither in the spool nor behind PostgreSQL.
func TestWhatARequestHasJustTakenIsNotFetchedAgain(t *testing.T) {
	t.Parallel()
	p := &prefetcher{spool: &spool{t.TempDir()}, o: &options{parallel: 4}, brought: map[wal.Segment]bool{}}
	p.missing(stretch{wal.SegmentNumber(1, 1, mib), mib, 1})
	for i := 2; i <= 5; i++ {
		p.brought[wal.SegmentNumber(1, uint64(i), mib)] = true // and taken
	}
	for _, step := range []struct{ at, first, count int }{
		{1, 6, 0}, {3, 6, 2}, {3, 6, 2}, {5, 6, 4}, // goes on
		{3, 4, 4}, {3, 4, 4}, // goes back
	} {
		wanted := stretch{wal.SegmentNumber(1, uint64(step.at), mib), mib, 1}
		p.prune(wanted.after(p.o.parallel))
		next, room := p.missing(wanted)
		if next.first.String() != segmentName(step.first) || next.count != uint64(step.count) || room != (step.count > 0) {
			t.Errorf("behind %d it lacks %d segments from %s on (room: %v), want %d from %s on",
				step.at, next.count, next.first, room, step.count, segmentName(step.first))
		}
	}
}

func TestAProblemOfThePrefetcherIsToldOnce(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	r.fill(5)
	bad := segment(segmentName(3))
	bad[1] = 0
	r.put(segmentName(3), bad)
	r.must(segmentName(1), "-p", "3")
	r.until("its end", func() bool { return r.prefetcher() == 0 })
	for i, want := range []int{1, 0} {
		code, _, stderr := r.run(segmentName(2), "-p", "3")
		if got := strings.Count(stderr, "WARNING: fetching ahead has failed: "+segmentName(3)+": not a WAL segment"); code != 0 || got != want {
			t.Errorf("call %d: exit code %d, %q", i, code, stderr)
		}
		r.want(segment(segmentName(2)))
	}
	r.refused(2, "not a WAL segment", segmentName(3), "-p", "3")
}

// TestKilledPrefetchers recovers 30 segments while prefetchers are killed at random moments.
func TestKilledPrefetchers(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	r.fill(30)
	stop := make(chan struct{})
	killed := make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				killed <- n
				return
			case <-time.After(time.Duration(rand.IntN(60)) * time.Millisecond):
			}
			if pid := r.prefetcher(); pid != 0 && syscall.Kill(pid, syscall.SIGKILL) == nil {
				n++
			}
		}
	}()
	for i := 1; i <= 29; i++ {
		r.must(segmentName(i), "-p", "4")
	}
	close(stop)
	if n := <-killed; n < 2 {
		t.Errorf("only %d were killed", n)
	}
	r.must(segmentName(30), "-p", "4")
	r.until("the end", func() bool { return r.prefetcher() == 0 })
	entries, err := os.ReadDir(r.spool().dir)
	check(t, err)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".tmp") {
			t.Errorf("a temporary file is left: %s", e.Name())
		}
	}
}

// TestAnotherFileSystem delivers from a spool that cannot be renamed from.
func TestAnotherFileSystem(t *testing.T) {
	shm, err := os.MkdirTemp("/dev/shm", "wal")
	if err != nil {
		t.Skip(err)
	}
	defer os.RemoveAll(shm)
	r := newReceiver(t)
	r.base = filepath.Join(shm, "spool")
	r.fill(3)
	r.must(segmentName(1), "-p", "2")
	r.until("files", func() bool { return len(r.ready()) == 2 })
	r.must(segmentName(2), "-p", "2")
	if calls := r.calls(); len(calls) != 2 {
		t.Errorf("the calls of ssh are:\n%s", strings.Join(calls, "\n"))
	}
	if got := r.ready(); len(got) != 1 {
		t.Errorf("in the spool are %v", got)
	}
}

func TestStretch(t *testing.T) {
	t.Parallel()
	s := &spool{t.TempDir()}
	for text, want := range map[string]stretch{"": {}, "x 1 1": {}, segmentName(1) + " 3 1": {}, segmentName(1) + " 1048576": {}} {
		check(t, os.WriteFile(s.path("wanted"), []byte(text), 0o600))
		if diff := cmp.Diff(want, s.wanted(), cmp.AllowUnexported(stretch{})); diff != "" {
			t.Errorf("%q: (-want +got)\n%s", text, diff)
		}
	}
	check(t, os.WriteFile(s.path("wanted"), []byte("0000000100000000000000FF 16777216 1\n"), 0o600))
	at := s.wanted()
	for name, want := range map[string]bool{
		"0000000100000000000000FF": false, "000000010000000100000000": true, "000000010000000100000001": true,
		"000000010000000100000002": false, "000000020000000100000000": false, "000000010000000000000100": false,
	} {
		n := mustName(t, name)
		if got := at.after(2).has(n); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// FuzzDecode: whatever comes, decode ends, and what it accepts of plain text it does not change.
func FuzzDecode(f *testing.F) {
	for _, format := range formats {
		f.Add([]byte(format.magic))
	}
	f.Add(segment(segmentName(1))[:100])
	f.Fuzz(func(t *testing.T, in []byte) {
		var out bytes.Buffer
		plain := !slices.ContainsFunc(formats, func(x formatReader) bool { return bytes.HasPrefix(in, []byte(x.magic)) })
		err := decode(struct{ io.Writer }{&limited{&out, 1 << 20}}, bytes.NewReader(in))
		if plain && (err != nil || !bytes.Equal(in, out.Bytes())) {
			t.Errorf("%q became %q (error %v)", in, &out, err)
		}
	})
}

// limited keeps a small file that stands for terabytes from filling the memory.
type limited struct {
	*bytes.Buffer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, io.ErrShortWrite
	}
	return l.Buffer.Write(p)
}
