package powerloss

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/test/faults/internal/faultfs"
)

// The test's disk has the directories a and b, and a durable file a/f that holds "old".
const (
	root, dirA, dirB, oldFile, newFile faultfs.Object = 1, 2, 3, 4, 5
)

func base() faultfs.Tree {
	return faultfs.Tree{
		Root: root, Files: map[faultfs.Object][]byte{oldFile: []byte("old")},
		Dirs: map[faultfs.Object]map[string]faultfs.Object{root: {"a": dirA, "b": dirB}, dirA: {"f": oldFile}, dirB: {}},
	}
}

var (
	create   = faultfs.Op{Kind: faultfs.Create, Object: newFile, Dir: dirA, Name: "t"}
	write    = faultfs.Op{Kind: faultfs.Write, Object: newFile, Data: []byte("new")}
	syncFile = faultfs.Op{Kind: faultfs.Sync, Object: newFile}
	syncA    = faultfs.Op{Kind: faultfs.SyncDir, Object: dirA}
	syncB    = faultfs.Op{Kind: faultfs.SyncDir, Object: dirB}
	failed   = faultfs.Op{Kind: faultfs.Sync, Object: newFile, Err: syscall.EIO}
	replace  = faultfs.Op{Kind: faultfs.Rename, Object: newFile, Dir: dirA, Name: "t", NewDir: dirA, NewName: "f"}
	move     = faultfs.Op{Kind: faultfs.Rename, Object: oldFile, Dir: dirA, Name: "f", NewDir: dirB, NewName: "f"}
	link     = faultfs.Op{Kind: faultfs.Link, Object: oldFile, Dir: dirB, Name: "f"}
	unlink   = faultfs.Op{Kind: faultfs.Unlink, Object: oldFile, Dir: dirA, Name: "f"}
)

// TestWhatMayBeLeft lists, for short sequences, all that may be found.
func TestWhatMayBeLeft(t *testing.T) {
	for name, test := range map[string]struct {
		ops  []faultfs.Op
		want []string
	}{
		"nothing happened":                  {nil, []string{"a/f=old"}},
		"a new file may be anything":        {[]faultfs.Op{create, write}, []string{"a/f=old", "a/f=old a/t=", "a/f=old a/t=000", "a/f=old a/t=new"}},
		"synced without its name":           {[]faultfs.Op{create, write, syncFile}, []string{"a/f=old", "a/f=old a/t=new"}},
		"the name without the content":      {[]faultfs.Op{create, write, syncA}, []string{"a/f=old a/t=", "a/f=old a/t=000", "a/f=old a/t=new"}},
		"renamed before it was synced":      {[]faultfs.Op{create, write, replace}, []string{"a/f=", "a/f=000", "a/f=new", "a/f=old", "a/f=old a/t=", "a/f=old a/t=000", "a/f=old a/t=new"}},
		"replaced as it should be":          {[]faultfs.Op{create, write, syncFile, replace}, []string{"a/f=new", "a/f=old", "a/f=old a/t=new"}},
		"and synced":                        {[]faultfs.Op{create, write, syncFile, replace, syncA}, []string{"a/f=new"}},
		"an fsync that failed":              {[]faultfs.Op{create, write, failed, syncFile, replace, syncA}, []string{"a/f="}},
		"written again after it":            {[]faultfs.Op{create, write, failed, write, syncFile, replace, syncA}, []string{"a/f=new"}},
		"a rename is not torn apart":        {[]faultfs.Op{move}, []string{"a/f=old", "a/f=old b/f=old", "b/f=old"}},
		"unless the old directory is first": {[]faultfs.Op{move, syncA}, []string{"", "b/f=old"}},
		"the new directory first":           {[]faultfs.Op{move, syncB}, []string{"a/f=old b/f=old", "b/f=old"}},
		"removed before the other is safe":  {[]faultfs.Op{link, unlink}, []string{"", "a/f=old", "a/f=old b/f=old", "b/f=old"}},
		"removed after it is":               {[]faultfs.Op{link, syncB, unlink}, []string{"a/f=old b/f=old", "b/f=old"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := New(base())
			for _, op := range test.ops {
				d.Apply(op)
			}
			found := map[string]bool{}
			for s := range d.States() {
				var files []string
				for path, content := range s.Files() {
					files = append(files, fmt.Sprintf("%s=%s", path, strings.ReplaceAll(string(content.Bytes()), "\x00", "0")))
				}
				found[strings.Join(files, " ")] = true
			}
			if diff := cmp.Diff(test.want, slices.Sorted(maps.Keys(found))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTornContentsHaveSomeBlocks(t *testing.T) {
	d := New(base())
	big := write
	big.Data = []byte(strings.Repeat("x", 64*block))
	for _, op := range []faultfs.Op{create, big} {
		d.Apply(op)
	}
	torn := string(d.files[newFile].content(Torn))
	if n := strings.Count(torn, "x") / block; n == 0 || n == 64 || len(torn) != 64*block {
		t.Errorf("%d of 64 blocks", n)
	}
}
