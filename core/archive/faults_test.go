package archive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/core/archive"
	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/sdk/progress"
)

func TestADamagedCompressorIsCaughtByReadBack(t *testing.T) {
	for name, filters := range map[string]map[string]any{
		"other bytes":    {"compression_filter": "tr a b", "decompression_filter": "cat"},
		"fewer bytes":    {"compression_filter": "head -c 1000000; cat >/dev/null", "decompression_filter": "cat"},
		"cannot be read": {"compression_filter": "gzip -c", "decompression_filter": "lz4 -dc"},
		"fails":          {"compression_filter": "cat; exit 3", "decompression_filter": "cat"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.filters = filters
			content := segment(t, seg1, mib, 1)
			s.deliver(seg1, content)
			if _, err := s.archiver("custom").Run(t.Context(), s.incoming()); err == nil || !strings.Contains(err.Error(), seg1) {
				t.Errorf("error %v, want one that names the segment", err)
			}
			s.wantTree(s.layout.Incoming, seg1)
			s.wantTree(s.layout.WALs)
			s.wantTree(s.layout.Errors)
			if got, err := os.ReadFile(filepath.Join(s.layout.Incoming, seg1)); err != nil || !bytes.Equal(got, content) {
				t.Error("the source was changed")
			}
		})
	}
}

func TestAPluginThatCannotStartMovesNothing(t *testing.T) {
	s := newSite(t)
	s.deliver(seg1, segment(t, seg1, mib, 1))
	if _, err := s.archiver("brotli").Run(t.Context(), s.incoming()); err == nil || !strings.Contains(err.Error(), `compress plugin "brotli" is not installed`) {
		t.Errorf("error %v, want one that names the plugin", err)
	}
	s.wantTree(s.layout.Incoming, seg1)
}

func TestAPluginThatDiesLosesNothing(t *testing.T) {
	for _, fault := range []string{"panic", "kill", "exit"} {
		t.Run(fault, func(t *testing.T) {
			s := newSite(t)
			s.faults = map[string]any{"fault": fault}
			content := segment(t, seg1, mib, 1)
			s.deliver(seg1, content)
			if _, err := s.archiver("fault").Run(t.Context(), s.incoming()); err == nil {
				t.Error("no error")
			}
			s.wantTree(s.layout.Incoming, seg1)
			s.wantTree(s.layout.WALs)
		})
	}
	t.Run("once", func(t *testing.T) {
		s := newSite(t)
		s.faults = map[string]any{"fault": "panic-once", "marker": filepath.Join(t.TempDir(), "died")}
		content := segment(t, seg1, mib, 1)
		s.deliver(seg1, content)
		a := s.archiver("fault")
		s.run(a, s.incoming())
		s.wantGet(a.Codecs, seg1, content)
		s.wantNoTemps()
	})
}

// TestArchiveWALRepairsTheIndexAfterACrash puts the directories into each state that a crash leaves.
func TestArchiveWALRepairsTheIndexAfterACrash(t *testing.T) {
	content := segment(t, seg1, mib, 1)
	const temp = ".000000010000000000000001.%d-0123abcd.tmp"
	for name, crash := range map[string]func(s *site){
		"before the rename": func(s *site) {
			s.put(filepath.Join(filepath.Dir(s.archived(seg1)), fmt.Sprintf(temp, 1)), content[:5000])
		},
		"before the index": func(s *site) { s.put(s.archived(seg1), content) },
		"in the index's line": func(s *site) {
			s.put(s.archived(seg1), content)
			s.put(s.layout.WALIndexPath(), []byte(seg1+"\t10485"))
		},
		"before the source goes": func(s *site) {
			s.deliver(seg1, content)
			s.run(s.archiver(""), s.incoming())
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.put(s.layout.WALIndexPath(), nil)
			crash(s)
			s.deliver(seg1, content)
			a := s.archiver("")
			s.run(a, s.incoming())
			if diff := cmp.Diff([]string{seg1 + " None"}, s.indexed()); diff != "" {
				t.Errorf("index (-want +got):\n%s", diff)
			}
			s.wantTree(s.layout.WALs, "0000000100000000/"+seg1)
			s.wantTree(s.layout.Incoming)
			s.wantTree(s.layout.Errors)
			s.wantGet(a.Codecs, seg1, content)
		})
	}
}

func TestArchiveWALSweepsWhatDeadProcessesLeft(t *testing.T) {
	s := newSite(t)
	dead := deadProcess(t)
	name := func(pid int) string { return fmt.Sprintf(".%s.%d-0123abcd.tmp", seg2, pid) }
	hash := filepath.Join(s.layout.WALs, "0000000100000000")
	for _, dir := range []string{s.layout.Incoming, s.layout.WALs, hash} {
		s.put(filepath.Join(dir, name(dead)), []byte("x"))
	}
	// A put-wal, get-wal or rebuild-xlogdb at work.
	alive := name(os.Getppid())
	s.put(filepath.Join(s.layout.Incoming, alive), []byte("x"))
	s.put(filepath.Join(s.layout.WALs, alive), []byte("x"))
	s.deliver(history, []byte("1\t0/4000000\tx\n"))
	s.deliver(seg1, segment(t, seg1, mib, 1))
	s.run(s.archiver(""), s.incoming())
	s.wantTree(s.layout.Incoming, alive)
	s.wantTree(s.layout.WALs, alive, "0000000100000000/"+seg1, history)
}

func deadProcess(t *testing.T) int {
	t.Helper()
	p, err := os.StartProcess("/bin/true", []string{"true"}, &os.ProcAttr{})
	check(t, err)
	_, err = p.Wait()
	check(t, err)
	return p.Pid
}

// TestCancellationLosesNothing stops runs at many moments.
func TestCancellationLosesNothing(t *testing.T) {
	const n = 40
	want, sent := map[string][]byte{}, map[string][]byte{}
	for i := range n {
		name := fmt.Sprintf("0000000100000000000000%02X", i+1)
		want[name] = segment(t, name, mib, 7)
		sent[name] = want[name]
		if i%4 == 3 {
			sent[name] = gzipped(t, want[name], 1)
		}
	}
	for _, after := range []int{0, 1, 5, 20} {
		t.Run(fmt.Sprintf("after %d", after), func(t *testing.T) {
			s := newSite(t)
			for name, content := range sent {
				s.deliver(name, content)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			a := s.archiver("zstd")
			if after == 0 {
				cancel()
			}
			a.Progress = progress.Func(func(p progress.Progress) {
				if int(p.FilesDone) >= after {
					cancel()
				}
			})
			if _, err := a.Run(ctx, s.incoming()); !errors.Is(err, context.Canceled) {
				t.Errorf("error %v, want that of the context", err)
			}
			s.wantTree(s.layout.Errors)
			s.wantNoTemps()
			filed, waiting := len(s.tree(s.layout.WALs)), len(s.tree(s.layout.Incoming))
			if filed+waiting != n || len(s.indexed()) != filed {
				t.Errorf("%d filed, %d waiting, %d in the index, of %d", filed, waiting, len(s.indexed()), n)
			}
			for name, content := range want {
				s.wantGet(a.Codecs, name, content)
			}
			a.Progress = nil
			s.run(a, s.incoming())
			if len(s.indexed()) != n {
				t.Errorf("the next run brings the index to %d, want %d", len(s.indexed()), n)
			}
		})
	}
}

// smallDisk mounts a file system of a few megabytes.
func smallDisk(t *testing.T, megabytes int) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a small file system; run the tests as root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", megabytes)); err != nil {
		t.Skipf("cannot mount tmpfs here: %v", err)
	}
	t.Cleanup(func() { check(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	return dir
}

func TestAFullDiskLosesNothing(t *testing.T) {
	for _, compression := range []string{"", "gzip", "lz4"} {
		t.Run("compression "+compression, func(t *testing.T) {
			s := newSite(t)
			// incoming/ has room; the archive has not, and links cannot be made across.
			s.layout.WALs = filepath.Join(smallDisk(t, 3), "wals")
			check(t, os.Mkdir(s.layout.WALs, 0o755))
			want := map[string][]byte{}
			for i := range 12 {
				name := fmt.Sprintf("0000000100000000000000%02X", i+1)
				want[name] = segment(t, name, mib, 7)
				s.deliver(name, want[name])
			}
			a := s.archiver(compression)
			sum, err := a.Run(t.Context(), s.incoming())
			if !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("error %v, want that the disk is full", err)
			}
			if sum.Archived == len(want) {
				t.Error("all were archived: the test's disk is too large")
			}
			s.wantTree(s.layout.Errors)
			s.wantNoTemps()
			if filed := s.tree(s.layout.WALs); len(filed) != sum.Archived {
				t.Errorf("%d were archived, and wals/ has %v", sum.Archived, filed)
			}
			for name, content := range want {
				if _, err := os.Stat(filepath.Join(s.layout.Incoming, name)); err == nil {
					continue
				}
				got, err := os.ReadFile(s.archived(name))
				if err != nil || compression == "" && !bytes.Equal(got, content) {
					t.Errorf("%s is neither in incoming/ nor whole in wals/ (error %v)", name, err)
				}
			}
		})
	}
}

func TestPutWALOnAFullDisk(t *testing.T) {
	s := newSiteIn(t, smallDisk(t, 3))
	one := file(seg1, segment(t, seg1, 16*mib, 1))
	p := s.putter(s.codecs(""))
	p.Reserve = new(int64) // the disk itself says no
	err := p.Run(t.Context(), bytes.NewReader(stream(t, one, sums(one))))
	if !errors.Is(err, syscall.ENOSPC) || errors.Is(err, archive.ErrRefused) {
		t.Errorf("error %v, want that the disk is full", err)
	}
	s.wantTree(s.layout.Backup)
}

// Before the disk is full put-wal says no, and what it has accepted can still be archived.
func TestPutWALKeepsTheReserve(t *testing.T) {
	s := newSiteIn(t, smallDisk(t, 5))
	p := s.putter(s.codecs(""))
	reserve := int64(2*mib + mib/2)
	p.Reserve = &reserve
	var accepted []string
	var refused error
	for i := range 5 {
		name := fmt.Sprintf("0000000100000000000000%02X", i+1)
		one := file(name, segment(t, name, mib, 1))
		if refused = p.Run(t.Context(), bytes.NewReader(stream(t, one, sums(one)))); refused != nil {
			break
		}
		accepted = append(accepted, name)
	}
	if !errors.Is(refused, archive.ErrRefused) || len(accepted) != 2 {
		t.Fatalf("%d of 1 MiB accepted with 2.5 MiB to keep of less than 5, then %v", len(accepted), refused)
	}
	s.out.wantError(t, "wal_free_space_reserve")
	s.wantTree(s.layout.Incoming, accepted...)
	if free, err := fsx.FreeBytes(s.layout.Incoming); err != nil || free < reserve {
		t.Errorf("%d bytes are free (%v), less than the reserve", free, err)
	}
	if sum := s.run(s.archiver("gzip"), s.incoming()); sum.Archived != len(accepted) {
		t.Errorf("summary %+v", sum)
	}
	if err := archive.CheckSpace(s.layout.Incoming, 0, &reserve); err != nil {
		t.Errorf("after archiving: %v", err)
	}
}

func TestReserveThatNobodyChose(t *testing.T) {
	dir := smallDisk(t, 4)
	var none *archive.NoSpaceError
	if err := archive.CheckSpace(dir, 0, nil); err != nil {
		t.Errorf("an empty disk: %v", err)
	}
	err := archive.CheckSpace(filepath.Join(dir, "not", "there", "yet"), 4*mib-10_000, nil)
	if !errors.As(err, &none) || !errors.Is(err, syscall.ENOSPC) || none.Reserve != 4*mib/20 {
		t.Errorf("error %v, want that a twentieth of the disk is reserved", err)
	}
	if err := archive.CheckSpace(dir, 4*mib-10_000, new(int64)); err != nil {
		t.Errorf("nothing is reserved: %v", err)
	}
}

func TestArchiveAcrossFileSystemsCopiesDurably(t *testing.T) {
	s := newSite(t)
	s.layout.Incoming = filepath.Join(smallDisk(t, 4), "incoming")
	s.layout.Errors = filepath.Join(smallDisk(t, 4), "errors")
	content := segment(t, seg1, mib, 1)
	s.deliver(seg1, content)
	s.deliver("junk", []byte("x"))
	a := s.archiver("")
	if sum := s.run(a, s.incoming()); sum != (archive.Summary{Archived: 1, Junk: 1}) {
		t.Errorf("summary %+v", sum)
	}
	s.wantGet(a.Codecs, seg1, content)
	s.wantTree(s.layout.Incoming)
	if same, err := fsx.SameFileSystem(s.layout.Incoming, s.layout.WALs); same || err != nil {
		t.Errorf("the test is not across file systems (error %v)", err)
	}
}
