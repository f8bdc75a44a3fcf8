package filecopy

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/plugin"
	"github.com/barman-go/barman/sdk/transfer"
)

// blocks is content of n blocks, each of one letter, the first ones those of letters.
func blocks(n int, letters string) string {
	var b strings.Builder
	for i := range n {
		letter := "x"
		if i < len(letters) {
			letter = letters[i : i+1]
		}
		b.WriteString(strings.Repeat(letter, hereBlock))
	}
	return b.String()
}

// copyLocal copies on this host, without an rsync for data: the one that is found can only list and make directories.
func copyLocal(t *testing.T, item transfer.Item) (transfer.CopyResult, error) {
	t.Helper()
	dir := wrapped(t, `for a; do case $a in --list-only|--max-size=0) exec $real "$@";; esac; done; echo "no data through me" >&2; exit 1`)
	item.Label, item.Kind = "pgdata", transfer.Directory
	return NewLocal(plugin.Env{WorkDir: t.TempDir(), PathPrefix: []string{dir}}).Copy(t.Context(), transfer.Plan{
		Direction: transfer.Local, Workers: 2, Items: []transfer.Item{item},
	}, nil)
}

func TestOnlyBlocksThatDifferAreWritten(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	horizon := time.Now().Add(-time.Hour).Truncate(time.Second)
	write(t, src, tree{
		"same": blocks(4, ""), "trusted": "aaaa", "young": blocks(3, "xY"), "one of many": blocks(9, "xxxxZ"), "shorter": "ab", "longer": blocks(2, "") + "tail",
		"new": "new", "read-only": "r1",
	})
	write(t, dst, tree{
		"same": blocks(4, ""), "trusted": "bbbb", "young": blocks(3, "xy"), "one of many": blocks(9, ""), "shorter": "abc", "longer": blocks(2, ""),
		"read-only": "r0",
	})
	if err := errors.Join(os.Chmod(src+"/read-only", 0o400), os.Chmod(dst+"/read-only", 0o400), os.Chmod(src+"/trusted", 0o640)); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{src, dst} {
		setTime(t, horizon.Add(-time.Minute), dir+"/trusted")
		setTime(t, horizon.Add(time.Minute), dir+"/young", dir+"/same")
	}
	setTime(t, horizon.Add(-2*time.Minute), src+"/one of many", src+"/shorter", src+"/longer")
	inodes := map[string]uint64{"one of many": inode(t, dst+"/one of many"), "young": inode(t, dst+"/young")}
	result, err := copyLocal(t, transfer.Item{Source: src, Destination: dst, SafeHorizon: horizon, DeleteExtra: true})
	if err != nil {
		t.Fatal(err)
	}
	want := read(t, src)
	want["trusted"] = "bbbb" // only the clock protects what is older than the horizon
	same(t, want, read(t, dst))
	for name := range want {
		from, _ := os.Stat(filepath.Join(src, name))
		to, _ := os.Stat(filepath.Join(dst, name))
		if from.Mode() != to.Mode() || !from.ModTime().Equal(to.ModTime()) {
			t.Errorf("%s: %v %v, want %v %v", name, to.Mode(), to.ModTime(), from.Mode(), from.ModTime())
		}
	}
	for name, before := range inodes {
		if inode(t, filepath.Join(dst, name)) != before {
			t.Errorf("%s was replaced", name)
		}
	}
	// A block of young and of one of many, the tail of longer, new, read-only; shorter loses a byte.
	if wrote := int64(2*hereBlock + 4 + 3 + 2); result.BytesCopied != wrote || result.FilesCopied != 6 || result.Files != 8 {
		t.Errorf("result %+v, want %d bytes copied", result, wrote)
	}
}

func TestWhatStandsInThePlaceOfAFile(t *testing.T) {
	src, dst, outside := t.TempDir(), t.TempDir(), t.TempDir()
	write(t, src, tree{"link": "1", "two names": "2", "directory": "3", "unseen/file": "4"})
	write(t, outside, tree{"victim": "v", "sharer": "s"})
	write(t, dst, tree{"directory/full": "of files"})
	if err := errors.Join(os.Symlink(outside+"/victim", dst+"/link"), os.Link(outside+"/sharer", dst+"/two names")); err != nil {
		t.Fatal(err)
	}
	if _, err := copyLocal(t, transfer.Item{Source: src, Destination: dst, DeleteExtra: true}); err != nil {
		t.Fatal(err)
	}
	same(t, tree{"link": "1", "two names": "2", "directory": "3", "unseen": "dir", "unseen/file": "4"}, read(t, dst))
	same(t, tree{"victim": "v", "sharer": "s"}, read(t, outside))
}

func TestALocalCopyThatCannotGoOn(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	write(t, src, tree{"file": "1"})
	write(t, dst, tree{"file/is": "a directory"})
	_, err := copyLocal(t, transfer.Item{Source: src, Destination: dst})
	if d := diag.FromError(err); d.Code != diag.CodeToolFailed || !strings.Contains(d.Detail, dst+"/file") {
		t.Errorf("a directory in the way: %v", err)
	}
}

func TestVanishedFilesAndAVanishedSource(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	write(t, src, tree{"there": "1"})
	l := &localCopy{from: src, to: dst, progress: newMeter(nil).part("pgdata")}
	for _, name := range []string{"gone", "there/never was", "there"} {
		if err := l.file(t.Context(), name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	same(t, tree{"there": "1"}, read(t, dst))
	if err := l.file(t.Context(), "../there"); err == nil {
		t.Error("a name that leads out of the tree was followed")
	}
	l.from = src + "/no such"
	if err := l.file(t.Context(), "there"); !errors.Is(err, errNoRoot) {
		t.Errorf("without a source: %v", err)
	}
}
