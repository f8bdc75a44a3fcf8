package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWordsForTheRemoteShell(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"":                             "-q|-T|barman@backup|barman|get-wal 'main' '" + segmentName(1) + "'",
		"-P -z -c /etc/b.conf -U me":   "-q|-T|me@backup|barman|--config /etc/b.conf|get-wal --gzip --partial 'main' '" + segmentName(1) + "'",
		"--port 22 --bz --config=/a_b": "-p|22|-q|-T|barman@backup|barman|--config /a_b|get-wal --bzip2 'main' '" + segmentName(1) + "'",
		"--keep -s 3":                  "-q|-T|barman@backup|barman|get-wal --keep-compression 'main' '" + segmentName(1) + "'",
		"-t":                           "-q|-T|barman@backup|barman|get-wal --test 'main' 'dummy_wal_name'",
	} {
		r := newReceiver(t)
		r.env = append(r.env, "SSH_EXIT=0")
		_, stdout, _ := r.run(segmentName(1), strings.Fields(line)...)
		if diff := cmp.Diff([]string{want}, r.calls()); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", line, diff)
		}
		deprecated := strings.Contains(line, "-z") || strings.Contains(line, "--bz")
		if got := strings.HasPrefix(stdout, "WARNING: `"); got != deprecated {
			t.Errorf("%s: says %q", line, stdout)
		}
	}
}

func TestOneFile(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	r.fill(1)
	r.must(segmentName(1))
	if _, err := os.Stat(r.base); err == nil {
		t.Error("a spool was made without --parallel")
	}
	r.put("00000002.history", []byte("1\t0/5000000\tno recovery target specified\n"))
	if code, _, stderr := r.run("00000002.history", "-p", "4"); code != 0 || stderr != "" {
		t.Fatalf("history: exit code %d, %q", code, stderr)
	}
	r.want([]byte("1\t0/5000000\tno recovery target specified\n"))
	if r.prefetcher() != 0 {
		t.Error("something is fetched ahead of a history file")
	}
}

func TestFileHasTheModeOfPostgreSQLsUmask(t *testing.T) {
	r := newReceiver(t)
	r.fill(2)
	for umask, want := range map[int]os.FileMode{0o077: 0o600, 0o027: 0o640} {
		old := syscall.Umask(umask)
		for i := 1; i <= 2; i++ { // the second one from the spool
			code, _, stderr := r.run(segmentName(i), "-p", "4")
			info, err := os.Stat(r.dest)
			if code != 0 || err != nil || info.Mode().Perm() != want {
				t.Errorf("umask %03o: mode %v, want %v (%s)", umask, info.Mode(), want, stderr)
			}
		}
		syscall.Umask(old)
	}
}

// TestWhatIsStoredCompressedIsDecoded has the files of each format made by the standard tools.
func TestWhatIsStoredCompressedIsDecoded(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"gzip", "bzip2", "xz", "zstd", "lz4"} {
		r := newReceiver(t)
		for i := 1; i <= 2; i++ {
			cmd := exec.Command(tool, "-c")
			cmd.Stdin = bytes.NewReader(segment(segmentName(i)))
			packed, err := cmd.Output()
			check(t, err)
			r.put(segmentName(i), packed)
		}
		r.must(segmentName(1), "-p", "4")
		r.until(tool, func() bool { return len(r.ready()) == 1 })
		r.must(segmentName(2), "-p", "4") // from the stream
		cut, err := os.ReadFile(filepath.Join(r.archive, "0000000100000000", segmentName(1)))
		check(t, err)
		r.put(segmentName(1), cut[:len(cut)/2])
		r.refused(2, "ERROR: ", segmentName(1))
	}
}

func TestFailuresLeaveNoFile(t *testing.T) {
	t.Parallel()
	one := segment(segmentName(1))
	foreign := segment(segmentName(7))
	for name, test := range map[string]struct {
		stored  []byte
		env     []string
		wal     string
		options []string
		code    int
		says    string
	}{
		"not there":              {wal: segmentName(9), code: 1, says: "ERROR: Remote 'barman get-wal' command has failed!"},
		"not there, in parallel": {wal: segmentName(9), options: []string{"-p", "3"}, code: 1, says: "Remote 'barman get-wal' command has failed!"},
		"bad name":               {wal: "../../etc/passwd", code: 3, says: "ERROR: '../../etc/passwd' is not a valid wal file name"},
		"no connection":          {env: []string{"SSH_EXIT=255"}, code: 2, says: "ERROR: Connection problem with ssh\n"},
		"no barman over there":   {env: []string{"SSH_EXIT=127"}, code: 2, says: "exit code 127"},
		"killed over there":      {env: []string{"SSH_EXIT=137"}, code: 2, says: "exit code 137"},
		"half a segment":         {stored: one[:mib/2], code: 2, says: "wrong size"},
		"one byte too many":      {stored: append(bytes.Clone(one), 0), code: 2, says: "wrong size"},
		"another segment":        {stored: foreign, code: 2, says: "its first page is that of " + segmentName(7)},
		"nothing":                {stored: []byte{}, code: 2, says: "it is empty"},
		"no WAL":                 {stored: []byte("Last login: today\n"), code: 2, says: "not a WAL segment"},
		"zeros":                  {stored: make([]byte, mib), code: 2, says: "begins with zeros"},
		"nothing written to it":  {stored: make([]byte, mib), options: []string{"-P"}, code: 2, says: "begins with zeros"},
		"it sleeps":              {wal: segmentName(9), options: []string{"-s", "1"}, code: 1, says: "Sleeping for 1 seconds.\n"},
		"two formats":            {options: []string{"-z", "-j"}, code: 2, says: "gzip"},
		"bad parallel":           {options: []string{"-p", "-1"}, code: 2, says: "is not a non negative integer"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t)
			if test.stored == nil {
				test.stored = one
			}
			if test.wal == "" {
				test.wal = segmentName(1)
			}
			r.put(segmentName(1), test.stored)
			r.env = append(r.env, test.env...)
			r.refused(test.code, test.says, test.wal, test.options...)
		})
	}
}

func TestDestinationThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	r.fill(1)
	pg := filepath.Dir(r.dest)
	for dest, says := range map[string]string{
		pg: "ERROR: WAL_DEST cannot be a directory: " + pg, filepath.Join(pg, "no", "x"): "Cannot open WAL_DEST", "/dev/null": "not a regular file",
	} {
		r.dest = dest
		code, _, stderr := r.run(segmentName(1))
		if code != 3 || !strings.Contains(stderr, says) {
			t.Errorf("%s: exit code %d, %q", dest, code, stderr)
		}
	}
	if info, err := os.Stat("/dev/null"); err != nil || info.Mode()&os.ModeDevice == 0 {
		t.Fatal("/dev/null is gone")
	}
	if _, err := os.Stat(filepath.Join(r.dir, "ssh.log")); err == nil {
		t.Error("it was fetched all the same")
	}
}

// TestAnOldFileStaysUntilTheNewOneIsWhole: WAL_DEST is replaced at once or not at all.
func TestAnOldFileStaysUntilTheNewOneIsWhole(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	r.put(segmentName(1), segment(segmentName(1))[:5000])
	check(t, os.WriteFile(r.dest, []byte("old"), 0o600))
	if code, _, _ := r.run(segmentName(1)); code != 2 {
		t.Errorf("exit code %d", code)
	}
	r.want([]byte("old"))
}

func TestPartialSegmentGetsItsZeros(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	whole := segment(segmentName(1))
	r.put("streaming/"+segmentName(1)+".partial", whole[:300_000])
	r.refused(1, "not found", segmentName(1))
	code, _, stderr := r.run(segmentName(1), "--partial", "-p", "2")
	if code != 0 {
		t.Fatalf("exit code %d, %q", code, stderr)
	}
	r.want(append(bytes.Clone(whole[:300_000]), make([]byte, mib-300_000)...))
}

// TestWhatAKilledClientLeftIsSwept removes its temporary file, and no other file of PostgreSQL's directory.
func TestWhatAKilledClientLeftIsSwept(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	r.fill(1)
	gone := exec.Command("true")
	check(t, gone.Run())
	pg := filepath.Dir(r.dest)
	old := filepath.Join(pg, ".RECOVERYXLOG."+strconv.Itoa(gone.Process.Pid)+"-0123abcd.tmp")
	other := filepath.Join(pg, ".other."+strconv.Itoa(gone.Process.Pid)+"-0123abcd.tmp")
	for _, path := range []string{old, other} {
		check(t, os.WriteFile(path, []byte("x"), 0o600))
	}
	r.must(segmentName(1))
	if _, err := os.Stat(old); err == nil {
		t.Error("it is still there")
	}
	if _, err := os.Stat(other); err != nil {
		t.Error("another file is gone")
	}
}

// TestSIGTERMIsHandedOn: PostgreSQL takes an exit code for "no such file", and the signal for its shutdown.
func TestSIGTERMIsHandedOn(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		r := newReceiver(t)
		cmd := exec.Command("barman-wal-restore", "-s", "60", "backup", "main", segmentName(1), r.dest)
		cmd.Env = r.env
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		check(t, cmd.Start())
		r.until("the call", func() bool { return len(r.calls()) > 0 && r.calls()[0] != "" })
		check(t, cmd.Process.Signal(sig))
		_ = cmd.Wait()
		status := cmd.ProcessState.Sys().(syscall.WaitStatus)
		byTerm := status.Signaled() && status.Signal() == syscall.SIGTERM
		if sig == syscall.SIGTERM && !byTerm || sig == syscall.SIGINT && status.ExitStatus() != 2 {
			t.Errorf("%s: %v, %q", sig, cmd.ProcessState, &stderr)
		}
		if left, _ := os.ReadDir(filepath.Dir(r.dest)); len(left) > 0 {
			t.Errorf("%s: it left %v", sig, left)
		}
	}
}

func TestTestAndVersion(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	if code, stdout, _ := r.run("x", "-t"); code != 3 || stdout != "" {
		t.Errorf("--test of a server that refuses: exit code %d, %q", code, stdout)
	}
	r.env = append(r.env, "SSH_EXIT=255")
	if code, _, stderr := r.run("x", "-t"); code != 255 || stderr != "" {
		t.Errorf("--test without a connection: exit code %d, %q", code, stderr)
	}
	out, err := exec.Command("barman-wal-restore", "--version").Output()
	if err != nil || string(out) != "barman-wal-restore 3.17.0 Barman in Go, version dev\n" {
		t.Errorf("--version: %q, %v", out, err)
	}
}
