package faults

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/faults/internal/faultfs"
	"github.com/barman-go/barman/test/lab"
)

// site is a backup host whose barman_home lies on a disk that records what happens and that can be made to fail.
type site struct {
	*backuphost.Host
	disk *faultfs.Disk
	// truth are the WAL files that there are, by name, as PostgreSQL wrote them.
	truth map[string][]byte
	// compression is the server's.
	compression string
	disks       int
}

// The WAL of a site: segments in two logs, of the size that makes tests quick, and what comes with them.
const (
	seg1    = "000000010000000000000FFE"
	seg2    = "000000010000000000000FFF"
	seg3    = "000000010000000100000000"
	seg4    = "000000010000000100000001"
	seg5    = "000000010000000100000002"
	label   = seg2 + ".00000028.backup"
	history = "00000002.history"

	segmentSize = 1 << 20
)

// acknowledged and forgotten are marks in the log of a disk: from then on a WAL file has to be there, or need not be any more.
type (
	acknowledged string
	forgotten    string
)

// newSite has a fresh disk. Without compression archive-wal makes links, with it new files.
func newSite(t *testing.T, compression string) *site {
	t.Helper()
	s := &site{Host: backuphost.New(t), compression: compression, truth: map[string][]byte{
		label: []byte("START WAL LOCATION: 0/FFF00028 (file " + seg2 + ")\n"), history: []byte("1\t1/200000\tno recovery target specified\n"),
	}}
	for i, name := range []string{seg1, seg2, seg3, seg4, seg5} {
		s.truth[name] = segment(t, name, uint64(i))
	}
	s.configure(t)
	s.freshDisk(t)
	return s
}

func (s *site) configure(t *testing.T) {
	t.Helper()
	s.Configure(t, backuphost.Server("main", map[string]any{
		"conninfo": "host=/nowhere", "streaming_conninfo": "host=/nowhere", "backup_method": "postgres", "archiver": true,
		"streaming_archiver": true, "slot_name": "barman", "compression": s.compression,
	}))
}

// freshDisk gives the host an empty disk.
func (s *site) freshDisk(t *testing.T) { s.newDisk(t, nil) }

// preparedDisk gives the host a disk with work for archive-wal: segments that put-wal has acknowledged, one of which is archived already,
// and two files that were copied without an fsync.
func (s *site) preparedDisk(t *testing.T) {
	t.Helper()
	archived := catalog.WALRecord{Name: seg5, Size: segmentSize, ModTime: 1.5}
	s.newDisk(t, map[string][]byte{
		"main/incoming/" + seg1: s.truth[seg1], "main/incoming/" + seg3: s.truth[seg3], "main/incoming/" + seg5: s.truth[seg5],
		"main/wals/" + seg5[:16] + "/" + seg5: s.truth[seg5], "main/wals/main-xlog.db": archived.AppendTo(nil),
	})
	for _, name := range []string{seg1, seg3, seg5} {
		s.disk.Mark(acknowledged(name))
	}
	s.deliver(t, s.Layout("main").Incoming, seg2, history)
}

// newDisk gives the host a disk with files that are durable.
func (s *site) newDisk(t *testing.T, files map[string][]byte) {
	t.Helper()
	if s.disk != nil {
		s.disk.Unmount(t)
	}
	s.disks++
	backing := filepath.Join(s.Dir, fmt.Sprintf("disk%d", s.disks))
	s.MakeDir(t, backing)
	for name, content := range files {
		path := filepath.Join(backing, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s.ownTree(t, backing)
	s.disk = faultfs.Mount(t, backing, s.Home)
}

// ownTree gives a directory and all below it to barman's user.
func (s *site) ownTree(t *testing.T, dir string) {
	t.Helper()
	if out, err := exec.Command("chown", "-R", s.User.Name, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// segment is one of PostgreSQL 15 by its first page, and random after it.
func segment(t *testing.T, name string, seed uint64) []byte {
	t.Helper()
	seg, err := wal.ParseSegment(name)
	if err != nil {
		t.Fatal(err)
	}
	content := make([]byte, segmentSize)
	random := rand.New(rand.NewPCG(seed, 1))
	for i := 0; i < len(content); i += 8 {
		binary.LittleEndian.PutUint64(content[i:], random.Uint64()&0x0f0f0f0f0f0f0f0f) // half of it is air
	}
	header := binary.LittleEndian.AppendUint32(nil, 0x0002_D110)
	header = binary.LittleEndian.AppendUint32(header, uint32(seg.Timeline))
	header = binary.LittleEndian.AppendUint64(header, uint64(seg.StartLSN(segmentSize)))
	header = binary.LittleEndian.AppendUint64(header, 0)
	header = binary.LittleEndian.AppendUint64(header, 7372018234567890123)
	header = binary.LittleEndian.AppendUint32(header, segmentSize)
	copy(content, binary.LittleEndian.AppendUint32(header, 8192))
	return content
}

// put sends a file to put-wal, and marks it when it was acknowledged.
func (s *site) put(t *testing.T, name string) lab.Result {
	t.Helper()
	r := s.BarmanWithInput(t, tarOf(t, name, s.truth[name]), "put-wal", "main")
	if r.Exit == 0 {
		s.disk.Mark(acknowledged(name))
	}
	return r
}

// mustPut is put that has to succeed.
func (s *site) mustPut(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if r := s.put(t, name); r.Exit != 0 {
			t.Fatalf("put-wal of %s: exit code %d\n%s%s", name, r.Exit, r.Stdout, r.Stderr)
		}
	}
}

// deliver copies files into a directory as cp does it, without an fsync. The directory is there for good.
func (s *site) deliver(t *testing.T, dir string, names ...string) {
	t.Helper()
	if err := fsx.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	s.MakeDir(t, dir) // which gives it to barman's user
	for _, name := range names {
		s.WriteFile(t, filepath.Join(dir, name), string(s.truth[name]), 0o644)
	}
}
