package wal

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
)

// asPostgres prepares a command to run as the user postgres, because PostgreSQL refuses to run as root.
func asPostgres(t *testing.T, program string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.Dir = "/"
	if os.Geteuid() == 0 {
		uid, gid := postgresUser(t)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	return cmd
}

func postgresUser(t *testing.T) (uid, gid int) {
	t.Helper()
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Skipf("no user postgres: %v", err)
	}
	uid, errUID := strconv.Atoi(u.Uid)
	gid, errGID := strconv.Atoi(u.Gid)
	if errUID != nil || errGID != nil {
		t.Fatalf("user postgres: %v, %v", errUID, errGID)
	}
	return uid, gid
}

// newestBinaries finds the server programs of the newest version that is installed.
func newestBinaries(t *testing.T) (dir string, major int) {
	t.Helper()
	dirs, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		version, err := strconv.Atoi(filepath.Base(filepath.Dir(d)))
		if _, statErr := os.Stat(filepath.Join(d, "initdb")); err == nil && statErr == nil && version > major {
			dir, major = d, version
		}
	}
	if dir == "" {
		t.Skip("no PostgreSQL server is installed in /usr/lib/postgresql")
	}
	return dir, major
}

// scratchDir is a directory that the user postgres may write in; t.TempDir belongs to root and hides what is inside.
func scratchDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "barman-wal-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if os.Geteuid() == 0 {
		uid, gid := postgresUser(t)
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var systemIDLine = regexp.MustCompile(`(?m)^Database system identifier: +(\d+)$`)

func TestHeadersOfARealCluster(t *testing.T) {
	bin, major := newestBinaries(t)
	for _, sizeMB := range []int{1, 16} {
		t.Run(fmt.Sprintf("%d MiB segments", sizeMB), func(t *testing.T) {
			data := filepath.Join(scratchDir(t), "data")
			initdb := asPostgres(t, filepath.Join(bin, "initdb"), "-D", data, "-N", "-A", "trust",
				"--wal-segsize", strconv.Itoa(sizeMB))
			if out, err := initdb.CombinedOutput(); err != nil {
				t.Fatalf("initdb: %v\n%s", err, out)
			}
			control, err := asPostgres(t, filepath.Join(bin, "pg_controldata"), data).Output()
			if err != nil {
				t.Fatal(err)
			}
			match := systemIDLine.FindSubmatch(control)
			if match == nil {
				t.Fatalf("no system identifier in:\n%s", control)
			}
			systemID, err := ParseSystemID(string(match[1]))
			if err != nil {
				t.Fatal(err)
			}
			checkSegments(t, filepath.Join(data, "pg_wal"), Expect{
				SystemID: systemID, Version: major, SegmentSize: SegmentSize(sizeMB) * mib,
			})
		})
	}
}

// checkSegments verifies every segment in a pg_wal directory under whose name something has been written.
func checkSegments(t *testing.T, dir string, expect Expect) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, entry := range entries {
		file, err := ParseFileName(entry.Name())
		if err != nil || !file.IsWAL() {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if allZero(content) {
			continue // prepared for later
		}
		header, err := Verify(content[:PageHeaderSize], int64(len(content)), file, expect)
		segment, _ := file.Segment()
		if errors.Is(err, ErrAddressMismatch) && header.Address < segment.StartLSN(expect.SegmentSize) {
			continue // recycled: it has a future name and still its old content, which is what must be seen
		}
		if err != nil {
			t.Error(err)
			continue
		}
		if header.BlockSize != 8192 || header.BigEndian {
			t.Errorf("%s: %+v", file, header)
		}
		checked++
	}
	if checked == 0 {
		t.Errorf("no written segment in %s", dir)
	}
}
