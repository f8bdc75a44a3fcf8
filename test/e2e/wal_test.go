package e2e

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// stream is what an archive_command sends to put-wal.
func stream(t *testing.T, name string, content []byte) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	sums := fmt.Sprintf("%x  %s\n", sha256.Sum256(content), name)
	for _, f := range []struct {
		name    string
		content []byte
	}{{name, content}, {"SHA256SUMS", []byte(sums)}} {
		h := &tar.Header{Name: f.name, Size: int64(len(f.content)), Mode: 0o600, ModTime: time.Now(), Typeflag: tar.TypeReg}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// putWAL sends a stream and checks how it ends.
func putWAL(t *testing.T, host *backuphost.Host, input string, exit int, says ...string) {
	t.Helper()
	r := host.BarmanWithInput(t, input, "put-wal", "main")
	backuphost.CheckRefusal(t, r, exit, says, "put-wal", "main")
}

// namesIn are the names in a directory of the server, without those that begin with a dot.
func namesIn(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// newSegment makes a server close its current segment, and returns the segment's name and content.
func newSegment(t *testing.T, c *lab.Cluster) (name string, content []byte) {
	t.Helper()
	mark(t, c, "segment")
	name = c.MustSQL(t, "SELECT pg_walfile_name(pg_switch_wal())")
	content, err := os.ReadFile(filepath.Join(c.Data, "pg_wal", name))
	if err != nil {
		t.Fatal(err)
	}
	return name, content
}

// TestPutWALRefusesWhatIsNotThisServersWAL sends the WAL of another cluster, half a segment, half a stream, a wrong checksum, and the same
// name twice. put-wal says no, so that PostgreSQL keeps its file, and nothing of it is found in incoming/ or in the archive.
func TestPutWALRefusesWhatIsNotThisServersWAL(t *testing.T) {
	host, primary := small(t, map[string]any{"compression": "gzip"})
	host.Must(t, "backup", "--wait", "main") // from now on the cluster is known
	if err := primary.Set(t.Context(), map[string]string{"archive_command": "/bin/true"}); err != nil {
		t.Fatal(err)
	}
	other := startPrimary(t, "/bin/true")
	foreign, foreignContent := newSegment(t, other)
	name, content := newSegment(t, primary)
	incoming := host.Layout("main").Incoming

	putWAL(t, host, stream(t, foreign, foreignContent), 1, foreign, "another cluster")
	putWAL(t, host, stream(t, name, content[:len(content)/2]), 1, name, "size")
	whole := stream(t, name, content)
	putWAL(t, host, whole[:len(whole)/2], 1, name, "EOF")
	putWAL(t, host, "", 1, "no file")
	putWAL(t, host, spoil(whole, len(content)/2), 1, name, "hecksum")
	putWAL(t, host, stream(t, "../../etc/passwd", content), 1, "passwd")
	if got := namesIn(t, incoming); len(got) > 0 {
		t.Errorf("refused WAL left %v in incoming", got)
	}

	putWAL(t, host, whole, 0)
	putWAL(t, host, whole, 0) // PostgreSQL repeats a command whose success it could not record
	otherContent := bytes.Clone(content)
	otherContent[len(otherContent)-1] ^= 1
	putWAL(t, host, stream(t, name, otherContent), 1, name, "Mismatched Checksums")
	host.Must(t, "archive-wal", "main")
	putWAL(t, host, whole, 0)
	otherContent[len(otherContent)-2] ^= 1
	putWAL(t, host, stream(t, name, otherContent), 1, name, "Mismatched Checksums")
	if got := host.Must(t, "get-wal", "main", name); got != string(content) {
		t.Error("the archive does not have what was sent first")
	}
	if got := namesIn(t, host.Layout("main").Errors); len(got) != 2 {
		t.Errorf("the two files with other content are not in errors/, which has %v", got)
	}
}

// spoil changes one byte of the first member of a stream.
func spoil(stream string, at int) string {
	b := []byte(stream)
	b[512+at] ^= 1
	return string(b)
}

// TestArchiveWALMovesAsideWhatIsNoWAL puts into incoming/ what a wrong archive_command, or a person, might put there.
func TestArchiveWALMovesAsideWhatIsNoWAL(t *testing.T) {
	host, primary := small(t, map[string]any{"compression": "lz4"})
	host.Must(t, "backup", "--wait", "main")
	if err := primary.Set(t.Context(), map[string]string{"archive_command": "/bin/true"}); err != nil {
		t.Fatal(err)
	}
	other := startPrimary(t, "/bin/true")
	foreign, foreignContent := newSegment(t, other)
	name, content := newSegment(t, primary)
	truncated, truncatedContent := newSegment(t, primary)
	archived := host.Latest(t, "main").BeginWAL.String()
	changed, err := os.ReadFile(host.Acknowledged(t, "main")[archived])
	if err != nil {
		t.Fatal(err)
	}
	changed[len(changed)-1] ^= 1

	incoming := host.Layout("main").Incoming
	put := func(name string, content []byte) {
		path := filepath.Join(incoming, name)
		host.WriteFile(t, path, string(content), 0o600)
		// A young file that is too short may still be growing.
		hourAgo := time.Now().Add(-time.Hour)
		if err := os.Chtimes(path, hourAgo, hourAgo); err != nil {
			t.Fatal(err)
		}
	}
	put(name, content)
	put(truncated, truncatedContent[:1<<20])
	put("notes.txt", []byte("junk"))
	put(archived, changed) // has been archived, with other content
	host.Refused(t, 1, []string{truncated, "cut off", archived, "notes.txt"}, "archive-wal", "main")
	put(foreign, foreignContent)
	host.Refused(t, 1, []string{foreign, "another cluster"}, "archive-wal", "main")

	if got := namesIn(t, incoming); len(got) > 0 {
		t.Errorf("incoming still has %v", got)
	}
	errors := strings.Join(namesIn(t, host.Layout("main").Errors), " ")
	for _, want := range []string{truncated, "notes.txt", archived, foreign} {
		if !strings.Contains(errors, want) {
			t.Errorf("%s is not in errors/: %s", want, errors)
		}
	}
	if got := host.Must(t, "get-wal", "main", name); got != string(content) {
		t.Error("the sound segment was not archived")
	}
	host.CheckAcknowledged(t, "main", host.Acknowledged(t, "main"))
	host.Refused(t, 3, []string{"is not a valid wal file name"}, "get-wal", "main", "../../etc/passwd")
	host.Refused(t, 1, []string{"not found"}, "get-wal", "main", "0000000100000000000000FF")
}
