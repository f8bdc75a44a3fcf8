package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/barman-go/barman/core/archive"
	"github.com/barman-go/barman/core/wal"
)

// TestMain makes the test binary answer to the names of the client, of an ssh that goes nowhere, and of a barman that hands out
// the files of $ARCHIVE.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"barman-wal-restore": main, "ssh": fakeSSH, "barman": fakeBarman})
}

// fakeSSH notes the remote command in $SSH_LOG and runs it here with the shell, unless $SSH_EXIT says how it ends.
func fakeSSH() {
	words := os.Args[1:]
	for i, w := range words {
		if strings.Contains(w, "@") {
			words = words[i+1:]
			break
		}
	}
	log, _ := os.OpenFile(os.Getenv("SSH_LOG"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	fmt.Fprintln(log, strings.Join(os.Args[1:], "|"))
	if text := os.Getenv("SSH_EXIT"); text != "" {
		code, _ := strconv.Atoi(text)
		os.Exit(code)
	}
	_ = syscall.Exec("/bin/sh", []string{"sh", "-c", strings.Join(words, " ")}, os.Environ())
}

// fakeBarman is get-wal of this project, or of Python if $PYTHON is set: that one knows no --tar. Files under a name of $HOLD are
// handed out only when that file is gone.
func fakeBarman() {
	args := os.Args[1:]
	if args[0] == "--config" {
		args = args[2:]
	}
	n := len(args)
	name, err := wal.ParseFileName(args[n-1])
	dir := os.Getenv("ARCHIVE")
	g := &archive.Getter{Server: args[n-2], WALs: dir, Incoming: filepath.Join(dir, "incoming"), Streaming: filepath.Join(dir, "streaming"), Codecs: &archive.Codecs{}}
	o := archive.GetOptions{KeepCompression: true, Partial: slices.Contains(args, "--partial")}
	for hold := os.Getenv("HOLD"); hold != "" && slices.Contains(args, "--tar"); time.Sleep(time.Millisecond) {
		if _, err := os.Stat(hold); err != nil {
			break
		}
	}
	count := 0
	if i := slices.IndexFunc(args, func(a string) bool { return a == "--tar" || a == "--peek" }); i >= 0 {
		count, _ = strconv.Atoi(args[i+1])
	}
	ctx := context.Background()
	switch {
	case err != nil:
		os.Exit(3)
	case slices.Contains(args, "--test"):
		fmt.Println("Ready to retrieve WAL files from the server", args[n-2])
	case slices.Contains(args, "--tar") && os.Getenv("PYTHON") != "":
		fmt.Fprintln(os.Stderr, "usage: barman\nbarman: error: unrecognized arguments: --tar")
		os.Exit(2)
	case slices.Contains(args, "--tar"):
		err = g.SendTar(ctx, name, count, archive.GetOptions{KeepKnown: true}, os.Stdout)
	case count > 0:
		var names []string
		names, err = g.Peek(name, count)
		for _, name := range names {
			fmt.Println(name)
		}
	default:
		err = g.Send(ctx, name, o, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "ERROR:", err)
		os.Exit(1)
	}
}

// mib is the segment size of these tests.
const mib = 1 << 20

// segmentName is the n-th segment.
func segmentName(n int) string { return wal.SegmentNumber(1, uint64(n), mib).String() }

// segment is a WAL segment as far as a client looks into it.
func segment(name string) []byte {
	seg, err := wal.ParseSegment(name)
	if err != nil {
		panic(err)
	}
	magic, _ := wal.PageMagic(15)
	le := binary.LittleEndian
	b := le.AppendUint16(nil, magic)
	b = le.AppendUint16(b, wal.InfoLongHeader)
	b = le.AppendUint32(b, uint32(seg.Timeline))
	b = le.AppendUint64(b, uint64(seg.StartLSN(mib)))
	b = le.AppendUint64(b, 0)
	b = le.AppendUint64(b, 7000000000000000001)
	b = le.AppendUint32(b, mib)
	b = le.AppendUint32(b, 8192)
	r := rand.New(rand.NewPCG(uint64(seg.Seg), 1))
	for len(b) < mib {
		b = append(b, byte(r.Uint32())&0x0f)
	}
	return b
}

// receiver is a database host with its archive.
type receiver struct {
	t                        *testing.T
	dir, archive, dest, base string
	env                      []string
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	dir := t.TempDir()
	r := &receiver{
		t: t, dir: dir, archive: filepath.Join(dir, "archive"), dest: filepath.Join(dir, "pg_wal", "RECOVERYXLOG"), base: filepath.Join(dir, "spool"),
	}
	r.env = append(os.Environ(), "ARCHIVE="+r.archive, "SSH_LOG="+filepath.Join(dir, "ssh.log"))
	check(t, os.Mkdir(filepath.Dir(r.dest), 0o700))
	check(t, os.MkdirAll(filepath.Join(r.archive, "0000000100000000"), 0o755))
	t.Cleanup(r.waitForPrefetcher)
	return r
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// put puts a file into the archive.
func (r *receiver) put(name string, content []byte) {
	r.t.Helper()
	path := filepath.Join(r.archive, name)
	if n, err := wal.ParseFileName(name); err == nil {
		path = filepath.Join(r.archive, n.ArchivePath())
	}
	check(r.t, os.MkdirAll(filepath.Dir(path), 0o755))
	check(r.t, os.WriteFile(path, content, 0o600))
}

// fill puts the segments 1…n into the archive.
func (r *receiver) fill(n int) {
	for i := 1; i <= n; i++ {
		r.put(segmentName(i), segment(segmentName(i)))
	}
}

// run runs the client: options, then host and server, then what is fetched and where to.
func (r *receiver) run(name string, options ...string) (code int, stdout, stderr string) {
	r.t.Helper()
	args := append(slices.Clone(options), "--spool-dir", r.base, "backup", "main", name, r.dest)
	cmd := exec.CommandContext(r.t.Context(), "barman-wal-restore", args...)
	cmd.Env = r.env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// must fetches a segment, compares it and takes it away.
func (r *receiver) must(name string, options ...string) {
	r.t.Helper()
	code, _, stderr := r.run(name, options...)
	if code != 0 || stderr != "" {
		r.t.Fatalf("%s: exit code %d, %q", name, code, stderr)
	}
	r.want(segment(name))
}

func (r *receiver) want(content []byte) {
	r.t.Helper()
	got, err := os.ReadFile(r.dest)
	if err != nil || !bytes.Equal(got, content) {
		r.t.Fatalf("%d bytes came, want %d (error %v)", len(got), len(content), err)
	}
	check(r.t, os.Remove(r.dest))
}

// refused wants a failure that leaves nothing.
func (r *receiver) refused(want int, says, name string, options ...string) {
	r.t.Helper()
	code, _, stderr := r.run(name, options...)
	if code != want || !strings.Contains(stderr, says) {
		r.t.Errorf("%s: exit code %d, %q; want %d, %q", name, code, stderr, want, says)
	}
	if left, _ := os.ReadDir(filepath.Dir(r.dest)); len(left) > 0 {
		r.t.Errorf("%s: it left %v", name, left)
	}
}

// calls are the remote commands so far.
func (r *receiver) calls() []string {
	text, _ := os.ReadFile(filepath.Join(r.dir, "ssh.log"))
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// spool is that of the destination.
func (r *receiver) spool() *spool {
	r.t.Helper()
	o := &options{server: "main", dest: r.dest, spoolDir: r.base}
	o.Host, o.User = "backup", "barman"
	s, err := openSpool(o)
	check(r.t, err)
	if s == nil {
		r.t.Fatal("no spool")
	}
	return s
}

// ready are the names of the files that wait, in order.
func (r *receiver) ready() []string {
	names := []string{}
	for _, e := range r.spool().entries() {
		names = append(names, e.name.String())
	}
	slices.Sort(names)
	return names
}

// until waits for something that a process in the background does.
func (r *receiver) until(what string, done func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("waited in vain: %s; in the spool are %v", what, r.ready())
		}
	}
}

// prefetcher is the process id of the prefetcher, or 0. Only it has the spool of this test and the hidden option in its arguments.
func (r *receiver) prefetcher() int {
	processes, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range processes {
		text, _ := os.ReadFile(path)
		args := strings.Split(string(text), "\x00")
		if slices.Contains(args, "--prefetch") && slices.Contains(args, "--spool-dir="+r.base) {
			pid, _ := strconv.Atoi(strings.Split(path, "/")[2])
			return pid
		}
	}
	return 0
}

// waitForPrefetcher ends the prefetcher, so that nothing is left when the test is over.
func (r *receiver) waitForPrefetcher() {
	for pid := r.prefetcher(); pid != 0; pid = r.prefetcher() {
		_ = syscall.Kill(pid, syscall.SIGTERM)
		time.Sleep(5 * time.Millisecond)
	}
}

func mustName(t *testing.T, text string) wal.FileName {
	t.Helper()
	name, err := wal.ParseFileName(text)
	check(t, err)
	return name
}
