package faults

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// TestSuccessMeansStableStorage reads the system calls of put-wal and archive-wal: each step is durable before the next one is taken,
// so a host that loses its power at any moment has the segment under one name or the other.
func TestSuccessMeansStableStorage(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("needs strace: apt-get install strace")
	}
	host := backuphost.New(t)
	primary := lab.StartCluster(t, lab.ClusterOptions{ArchiveCommand: "/bin/true", WALSegmentSizeMB: 1})
	host.Configure(t, backuphost.Server("main", map[string]any{
		"conninfo": primary.Conninfo("", ""), "backup_method": "local-rsync", "backup_options": "concurrent_backup", "archiver": true,
		"compression": "zstd",
	}))
	primary.MustSQL(t, "CREATE TABLE t AS SELECT 1")
	name := primary.MustSQL(t, "SELECT pg_walfile_name(pg_switch_wal())")
	content, err := os.ReadFile(filepath.Join(primary.Data, "pg_wal", name))
	if err != nil {
		t.Fatal(err)
	}
	layout := host.Layout("main")

	t.Run("put-wal", func(t *testing.T) {
		trace(t, host, strace, tarOf(t, name, content), "put-wal", "main").inOrder(t,
			`fsync\(\d+<`+layout.Incoming+`/\.`+name+`[^>]*\.tmp>\) = 0`,
			`rename.*"`+layout.Incoming+`/`+name+`".* = 0`,
			`fsync\(\d+<`+layout.Incoming+`>\) = 0`,
			`exit_group\(0\)`)
	})
	t.Run("archive-wal", func(t *testing.T) {
		dir := filepath.Join(layout.WALs, name[:16])
		trace(t, host, strace, "", "archive-wal", "main").inOrder(t,
			`fsync\(\d+<`+dir+`/\.`+name+`[^>]*\.tmp>\) = 0`,
			`rename.*"`+dir+`/`+name+`".* = 0`,
			`fsync\(\d+<`+dir+`>\) = 0`,
			`f(data)?sync\(\d+<`+layout.WALIndexPath()+`>\) = 0`,
			`unlink.*"`+layout.Incoming+`/`+name+`".* = 0`,
			`fsync\(\d+<`+layout.Incoming+`>\) = 0`,
			`exit_group\(0\)`)
	})
}

// calls are the traced system calls of a program, in the order in which they ended.
type calls []string

var (
	unfinished = regexp.MustCompile(`^(\d+) +(.*) <unfinished \.\.\.>$`)
	resumed    = regexp.MustCompile(`^(\d+) +<\.\.\. \w+ resumed>(.*)$`)
	// padding is what strace puts before the result of a call, to align results.
	padding = regexp.MustCompile(`\) +=`)
)

// trace runs barman to its end under strace.
func trace(t *testing.T, host *backuphost.Host, strace, input string, args ...string) calls {
	t.Helper()
	out := filepath.Join(host.Dir, "trace")
	cmd := host.Command(t.Context(), args...)
	cmd.Args = append([]string{
		strace, "-f", "-y", "-s", "512", "-o", out,
		"-e", "trace=fsync,fdatasync,syncfs,rename,renameat,renameat2,link,linkat,unlink,unlinkat,exit_group", cmd.Path,
	}, cmd.Args[1:]...)
	cmd.Path, cmd.Stdin = strace, strings.NewReader(input)
	result, err := lab.Run(cmd)
	if err != nil || strings.Contains(result.Stderr, "strace:") {
		t.Skipf("strace does not work here: %v: %s", err, result.Stderr)
	}
	if result.Exit != 0 {
		t.Fatalf("barman %s: exit code %d\n%s%s", args, result.Exit, result.Stdout, result.Stderr)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	var all calls
	begun := map[string]string{}
	for line := range strings.Lines(string(text)) {
		line = padding.ReplaceAllString(strings.TrimRight(line, "\n"), ") =")
		if m := unfinished.FindStringSubmatch(line); m != nil {
			begun[m[1]] = m[2]
		} else if m := resumed.FindStringSubmatch(line); m != nil {
			all = append(all, begun[m[1]]+m[2])
		} else {
			all = append(all, line)
		}
	}
	return all
}

// inOrder wants a call for each pattern, one after the other. Of names that change the first change counts, so that one which comes too
// early is noticed; files and directories may be synced at other times as well.
func (c calls) inOrder(t *testing.T, patterns ...string) {
	t.Helper()
	last := -1
	for _, pattern := range patterns {
		from := last + 1
		if strings.HasPrefix(pattern, "rename") || strings.HasPrefix(pattern, "unlink") {
			from = 0
		}
		at := slices.IndexFunc(c[from:], regexp.MustCompile(pattern).MatchString)
		if at < 0 || from+at <= last {
			t.Fatalf("%s comes too early, or not at all, in:\n%s", pattern, strings.Join(c, "\n"))
		}
		last = from + at
	}
}

// tarOf is what an archive_command sends to put-wal.
func tarOf(t *testing.T, name string, content []byte) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for file, data := range map[string][]byte{name: content, "SHA256SUMS": fmt.Appendf(nil, "%x *%s\n", sha256.Sum256(content), name)} {
		if err := w.WriteHeader(&tar.Header{Name: file, Size: int64(len(data)), Mode: 0o600, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
