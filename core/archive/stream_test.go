package archive_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/barman-go/barman/core/archive"
)

// large makes a file that is larger than a pipe, and its encoded form by a tool.
func large(t *testing.T, tool string, args ...string) (plain []byte, encoded string) {
	t.Helper()
	plain = make([]byte, 8*mib)
	random := rand.NewChaCha8([32]byte{9})
	for at := 0; at < len(plain); at += 8192 {
		_, _ = random.Read(plain[at : at+4096])
	}
	cmd := exec.Command(tool, args...)
	cmd.Stdin = bytes.NewReader(plain)
	out, err := cmd.Output()
	check(t, err)
	encoded = filepath.Join(t.TempDir(), "encoded")
	check(t, os.WriteFile(encoded, out, 0o600))
	return plain, encoded
}

func TestStreamGivesThePlainContent(t *testing.T) {
	c := newSite(t).codecs("")
	for format, tool := range map[string][]string{
		"gzip": {"gzip", "-1"}, "lz4": {"lz4", "-1", "-c"}, "zstd": {"zstd", "-1", "-c", "--no-check"},
	} {
		t.Run(format, func(t *testing.T) {
			plain, encoded := large(t, tool[0], tool[1:]...)
			check(t, c.CanDecode(t.Context(), format))
			temp := t.TempDir()
			var got []byte
			check(t, c.Stream(t.Context(), encoded, format, temp, func(r io.Reader) (err error) {
				got, err = io.ReadAll(r)
				return err
			}))
			if !bytes.Equal(got, plain) {
				t.Errorf("%d bytes came, want %d", len(got), len(plain))
			}
			if left, _ := os.ReadDir(temp); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
	if err := c.CanDecode(t.Context(), "unheard-of"); err == nil {
		t.Error("a format without plugin can be decoded")
	}
}

func TestStreamNeverEndsWellWhenTheFileIsNotSound(t *testing.T) {
	c := newSite(t).codecs("")
	_, encoded := large(t, "gzip", "-1")
	content, err := os.ReadFile(encoded)
	check(t, err)
	for name, damage := range map[string]func([]byte) []byte{
		"cut":             func(b []byte) []byte { return b[:len(b)/2] },
		"only its end":    func(b []byte) []byte { return b[:len(b)-8] },
		"a wrong byte":    func(b []byte) []byte { b[len(b)-5] ^= 1; return b },
		"something after": func(b []byte) []byte { return append(b, "junk"...) },
		"empty":           func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "damaged")
			check(t, os.WriteFile(path, damage(bytes.Clone(content)), 0o600))
			err := c.Stream(t.Context(), path, "gzip", "", func(r io.Reader) error {
				_, err := io.Copy(io.Discard, r)
				return err
			})
			var damaged *archive.DamagedError
			if !errors.As(err, &damaged) {
				t.Errorf("read to its end: %v", err)
			}
			// Whoever is content with the beginning learns of it, too.
			err = c.Stream(t.Context(), path, "gzip", "", func(r io.Reader) error {
				_, _ = io.ReadFull(r, make([]byte, 1000))
				return nil
			})
			if !errors.As(err, &damaged) {
				t.Errorf("not read: %v", err)
			}
		})
	}
}

func TestStreamEndsWithItsReader(t *testing.T) {
	c := newSite(t).codecs("")
	_, encoded := large(t, "gzip", "-1")
	enough := errors.New("that was enough")
	if err := c.Stream(t.Context(), encoded, "gzip", "", func(io.Reader) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("the user said stop")
	err := c.Stream(ctx, encoded, "gzip", "", func(r io.Reader) error {
		if _, err := io.ReadFull(r, make([]byte, mib)); err != nil {
			return err
		}
		cancel(stopped)
		_, err := io.Copy(io.Discard, r)
		return err
	})
	if err == nil {
		t.Error("a cancelled stream ended well")
	}
	if err := c.Stream(t.Context(), filepath.Join(t.TempDir(), "missing"), "gzip", "", func(r io.Reader) error {
		_, err := io.Copy(io.Discard, r)
		return err
	}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// TestAStreamIsNotRepeated: a file that a dead plugin has written is written again, but what came out of a pipe cannot be
// taken back.
func TestAStreamIsNotRepeated(t *testing.T) {
	s := newSite(t)
	s.faults = map[string]any{"fault": "panic-once", "marker": filepath.Join(t.TempDir(), "died")}
	c := s.codecs("fault")
	path := filepath.Join(t.TempDir(), "file")
	check(t, os.WriteFile(path, []byte("FLT1"), 0o600))
	var got []byte
	err := c.Stream(t.Context(), path, "fault", "", func(r io.Reader) (err error) {
		got, err = io.ReadAll(r)
		return err
	})
	if err == nil {
		t.Errorf("got %q and no error", got)
	}
}
