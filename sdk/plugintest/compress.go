package plugintest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/barman-go/barman/sdk/compress"
	"github.com/barman-go/barman/sdk/diag"
)

// segment is the usual size of a WAL segment, in bytes.
const segment = 16 << 20

// inputs are what a compressor must bring back.
func inputs() map[string][]byte {
	random := make([]byte, segment)
	// Always the same bytes, so that a failure can be repeated.
	rng := rand.NewChaCha8([32]byte{1})
	_, _ = rng.Read(random)
	return map[string][]byte{
		"empty": {}, "one byte": {'x'}, "text": bytes.Repeat([]byte("a line of WAL\n"), 5000),
		"1 MiB of noise": random[:1<<20], "16 MiB of zeros": make([]byte, segment), "16 MiB of noise": random,
	}
}

func checkCompressor(t *testing.T, p *process) {
	c := compress.NewClient(p.conn, p.open(t))
	formats, err := c.Formats(t.Context())
	if err != nil || len(formats) == 0 {
		t.Fatalf("formats: %v, %v", formats, err)
	}
	seen := map[string]bool{}
	for _, f := range formats {
		if f.ID == "" || seen[f.ID] || !f.CanCompress && !f.CanDecompress {
			t.Errorf("format %+v has no id, or one that is taken, or can do nothing", f)
		}
		seen[f.ID] = true
		if f.CanCompress && f.CanDecompress {
			t.Run("format "+f.ID, func(t *testing.T) { checkFormat(t, p, c, f) })
		}
	}
}

func checkFormat(t *testing.T, p *process, c *compress.Client, f compress.Format) {
	levels := []int{0}
	if l := f.Levels; l != nil {
		levels = []int{l.Low, l.Medium, l.High}
		if l.Min > l.Low || l.Low > l.Medium || l.Medium > l.High || l.High > l.Max {
			t.Errorf("the levels %+v are not in order", *l)
		}
	}
	all := inputs()
	for name, plain := range all {
		of := levels
		if len(plain) >= segment {
			of = levels[:1] // slow encoders need minutes for whole segments at the high levels
		}
		for _, level := range of {
			t.Run(fmt.Sprintf("round trip of %s at level %d", name, level), func(t *testing.T) {
				roundTrip(t, c, f, level, plain)
			})
		}
	}
	text := all["text"]
	t.Run("refuses an existing destination", func(t *testing.T) { checkExisting(t, c, f, text) })
	t.Run("writes into a named pipe", func(t *testing.T) { checkPipe(t, c, f, all["16 MiB of noise"]) })
	t.Run("reports a missing source", func(t *testing.T) { checkMissing(t, c, f) })
	t.Run("refuses an unknown format", func(t *testing.T) { checkUnknownFormat(t, c, text) })
	if !p.settings.unchecked {
		t.Run("notices damage", func(t *testing.T) { checkDamage(t, c, f, text) })
	}
	t.Run("serves several calls at the same time", func(t *testing.T) {
		var calls sync.WaitGroup
		for i := range 8 {
			dir := t.TempDir()
			calls.Go(func() {
				if err := trip(t.Context(), c, f, 0, dir, text[:len(text)-i]); err != nil {
					t.Error(err)
				}
			})
		}
		calls.Wait()
	})
	t.Run("can be cancelled", func(t *testing.T) { checkCancelled(t, c, f, all["16 MiB of noise"]) })
}

func request(f compress.Format, level int, source, destination string) compress.FileRequest {
	return compress.FileRequest{
		Source: source, Destination: destination, Options: compress.Options{Format: f.ID, Level: level},
	}
}

func write(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "000000010000000000000001")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func roundTrip(t *testing.T, c *compress.Client, f compress.Format, level int, plain []byte) {
	t.Helper()
	if err := trip(t.Context(), c, f, level, t.TempDir(), plain); err != nil {
		t.Error(err)
	}
}

// trip encodes, tests and decodes, and compares everything that can be compared.
func trip(ctx context.Context, c *compress.Client, f compress.Format, level int, dir string, plain []byte) error {
	source, packed, back := filepath.Join(dir, "plain"), filepath.Join(dir, "packed"), filepath.Join(dir, "back")
	if err := os.WriteFile(source, plain, 0o600); err != nil {
		return err
	}
	result, err := c.CompressFile(ctx, request(f, level, source, packed))
	if err != nil {
		return err
	}
	encoded, err := os.ReadFile(packed)
	if err != nil {
		return err
	}
	want := compress.FileResult{
		PlainBytes: int64(len(plain)), EncodedBytes: int64(len(encoded)), PlainCRC32: crc32.ChecksumIEEE(plain),
	}
	if d := cmp.Diff(want, result); d != "" {
		return fmt.Errorf("the result of CompressFile: %s", d)
	}
	at := int(f.MagicOffset)
	if len(encoded) < at+len(f.Magic) || !bytes.Equal(encoded[at:at+len(f.Magic)], f.Magic) {
		return fmt.Errorf("the file does not have the magic %x at %d", f.Magic, at)
	}
	if result, err = c.TestFile(ctx, request(f, 0, packed, "")); err != nil {
		return fmt.Errorf("TestFile: %w", err)
	}
	if d := cmp.Diff(want, result); d != "" {
		return fmt.Errorf("the result of TestFile: %s", d)
	}
	if result, err = c.DecompressFile(ctx, request(f, 0, packed, back)); err != nil {
		return fmt.Errorf("DecompressFile: %w", err)
	}
	if d := cmp.Diff(want, result); d != "" {
		return fmt.Errorf("the result of DecompressFile: %s", d)
	}
	got, err := os.ReadFile(back)
	if err == nil && !bytes.Equal(got, plain) {
		err = errors.New("other bytes came back")
	}
	return err
}

func checkExisting(t *testing.T, c *compress.Client, f compress.Format, plain []byte) {
	source, taken := write(t, plain), write(t, []byte("mine"))
	if _, err := c.CompressFile(t.Context(), request(f, 0, source, taken)); err == nil {
		t.Error("CompressFile wrote over a file")
	}
	packed := source + ".packed"
	if _, err := c.CompressFile(t.Context(), request(f, 0, source, packed)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DecompressFile(t.Context(), request(f, 0, packed, taken)); err == nil {
		t.Error("DecompressFile wrote over a file")
	}
	if got, err := os.ReadFile(taken); string(got) != "mine" {
		t.Errorf("the file now has %d bytes, %v", len(got), err)
	}
	if got, err := os.ReadFile(source); !bytes.Equal(got, plain) {
		t.Errorf("the source changed: %v", err)
	}
}

// checkPipe reads what is decoded from a named pipe, as core does with archives that are too large for the disk.
func checkPipe(t *testing.T, c *compress.Client, f compress.Format, plain []byte) {
	source := write(t, plain)
	packed, pipe := source+".packed", source+".pipe"
	if _, err := c.CompressFile(t.Context(), request(f, 0, source, packed)); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DecompressFile(t.Context(), request(f, 0, packed, pipe)); err == nil {
		t.Error("it wrote into a pipe that nobody reads")
	}
	r, err := os.OpenFile(pipe, os.O_RDWR, 0) // so that it has no end before the plugin has opened it
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	answer := make(chan error, 1)
	go func() {
		_, err := c.DecompressFile(t.Context(), request(f, 0, packed, pipe))
		answer <- err
	}()
	got := make([]byte, len(plain))
	if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("the pipe gave something else: %v", err)
	}
	if err := <-answer; err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(pipe); err != nil {
		t.Errorf("the pipe is gone: %v", err)
	}
}

func checkMissing(t *testing.T, c *compress.Client, f compress.Format) {
	dir := t.TempDir()
	req := request(f, 0, filepath.Join(dir, "missing"), filepath.Join(dir, "out"))
	for name, call := range map[string]func(context.Context, compress.FileRequest) (compress.FileResult, error){
		"CompressFile": c.CompressFile, "DecompressFile": c.DecompressFile, "TestFile": c.TestFile,
	} {
		_, err := call(t.Context(), req)
		var d diag.Diagnostic
		if !errors.Is(err, fs.ErrNotExist) || !errors.As(err, &d) {
			t.Errorf("%s: want a diagnostic with code %q, got %v", name, diag.CodeNotFound, err)
		}
	}
}

func checkUnknownFormat(t *testing.T, c *compress.Client, plain []byte) {
	source := write(t, plain)
	f := compress.Format{ID: "no-such-format"}
	if _, err := c.CompressFile(t.Context(), request(f, 0, source, source+".out")); err == nil {
		t.Error("CompressFile took it")
	}
	if _, err := c.TestFile(t.Context(), request(f, 0, source, "")); err == nil {
		t.Error("TestFile took it")
	}
}

// checkDamage cuts and changes an encoded file in many places: each must give an error, never other bytes.
func checkDamage(t *testing.T, c *compress.Client, f compress.Format, plain []byte) {
	source := write(t, plain)
	if _, err := c.CompressFile(t.Context(), request(f, 0, source, source+".packed")); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(source + ".packed")
	if err != nil {
		t.Fatal(err)
	}
	const places = 16
	for i := range places {
		at := i * len(good) / places
		if _, err := c.TestFile(t.Context(), request(f, 0, write(t, good[:at]), "")); err == nil {
			t.Errorf("cut to %d of %d bytes, and not noticed", at, len(good))
		}
		bad := bytes.Clone(good)
		bad[at] ^= 0x40
		got, err := c.TestFile(t.Context(), request(f, 0, write(t, bad), ""))
		// A bit that means nothing, such as a time stamp in the header, may change.
		if err == nil && got.PlainCRC32 != crc32.ChecksumIEEE(plain) {
			t.Errorf("byte %d of %d changed, and other bytes came back", at, len(good))
		}
	}
	if _, err := c.TestFile(t.Context(), request(f, 0, write(t, good[:len(good)-1]), "")); err == nil {
		t.Error("the last byte is missing, and not noticed")
	}
}

func checkCancelled(t *testing.T, c *compress.Client, f compress.Format, plain []byte) {
	source := write(t, plain)
	destination := source + ".packed"
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := c.CompressFile(ctx, request(f, 0, source, destination))
		ended <- err
	}()
	// As soon as there is something to throw away, or at the end if that was faster.
	for done := false; !done; {
		if _, err := os.Lstat(destination); err == nil {
			break
		}
		select {
		case err := <-ended:
			ended <- err
			done = true
		default:
		}
	}
	cancel()
	if err := <-ended; err != nil {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		// The call may have been complete just then; a part must not be left.
		if _, err := os.Lstat(destination); err == nil {
			got, err := c.TestFile(t.Context(), request(f, 0, destination, ""))
			if err != nil || got.PlainCRC32 != crc32.ChecksumIEEE(plain) {
				t.Errorf("the cancelled call left a part of the destination: %+v, %v", got, err)
			}
		}
	}
	if err := trip(t.Context(), c, f, 0, t.TempDir(), []byte("after")); err != nil {
		t.Errorf("the next call: %v", err)
	}
}
