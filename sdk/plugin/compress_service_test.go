package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/sdk/compress"
	"github.com/barman-go/barman/sdk/diag"
)

// flip is a compressor that inverts every byte and puts "F" in front. Level 9 fails halfway; entered and release let a
// test hold it.
type flip struct {
	entered chan struct{}
	ended   chan struct{}
}

func (*flip) Formats() []compress.Format {
	return []compress.Format{
		{ID: "read-only", CanDecompress: true},
		{
			ID: "flip", Magic: []byte("F"), MagicOffset: 0, Extension: ".f", CanCompress: true, CanDecompress: true,
			Levels: &compress.Levels{Min: 1, Max: 9, Low: 1, Medium: 5, High: 8},
		},
	}
}

func (f *flip) Compress(ctx context.Context, o compress.Options, dst io.Writer, src io.Reader) error {
	if f.entered != nil {
		close(f.entered)
		<-ctx.Done()
		defer close(f.ended)
		return fmt.Errorf("a tool was killed")
	}
	if _, err := fmt.Fprintf(dst, "F"); err != nil {
		return err
	}
	all, err := io.ReadAll(src)
	if err != nil {
		return err
	}
	for i := range all {
		all[i] ^= 0xff
	}
	if o.Level == 9 {
		_, _ = dst.Write(all[:len(all)/2])
		return errors.New("halfway")
	}
	_, err = dst.Write(all)
	return err
}

func (f *flip) Decompress(_ context.Context, _ compress.Options, dst io.Writer, src io.Reader) error {
	all, err := io.ReadAll(src)
	if err != nil {
		return err
	}
	for i := range all {
		all[i] ^= 0xff
	}
	// As with many real formats, an empty stream is no frame and no mistake.
	_, err = dst.Write(all[min(1, len(all)):])
	return err
}

func newFlip(t *testing.T, f *flip) *compress.Client {
	t.Helper()
	conn := dial(t, Definition{Compress: func(context.Context, Env) (compress.Compressor, error) { return f, nil }})
	return compress.NewClient(conn, openOn(t, conn, nil))
}

func writeFile(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFormatsCrossTheWire(t *testing.T) {
	f := &flip{}
	got, err := newFlip(t, f).Formats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(f.Formats(), got); d != "" {
		t.Error(d)
	}
}

func TestFilesAreEncodedDecodedAndMeasured(t *testing.T) {
	c := newFlip(t, &flip{})
	plain := bytes.Repeat([]byte("0123456789"), 100_000)
	source := writeFile(t, plain)
	want := compress.FileResult{PlainBytes: 1_000_000, EncodedBytes: 1_000_001, PlainCRC32: crc32.ChecksumIEEE(plain)}
	check := func(what string, got compress.FileResult, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(what, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(what, d)
		}
	}
	got, err := c.CompressFile(t.Context(), compress.FileRequest{Source: source, Destination: source + ".f"})
	check("compress", got, err)
	got, err = c.DecompressFile(t.Context(), compress.FileRequest{Source: source + ".f", Destination: source + ".out"})
	check("decompress", got, err)
	got, err = c.TestFile(t.Context(), compress.FileRequest{Source: source + ".f"})
	check("test", got, err)
	back, err := os.ReadFile(source + ".out")
	if err != nil || !bytes.Equal(back, plain) {
		t.Errorf("%d bytes came back, %v", len(back), err)
	}
}

func TestFileRequestsThatFail(t *testing.T) {
	c := newFlip(t, &flip{})
	source := writeFile(t, []byte("plain"))
	empty := writeFile(t, nil)
	existing := writeFile(t, []byte("mine"))
	out := filepath.Join(t.TempDir(), "out")
	request := func(source, destination, format string, level int) compress.FileRequest {
		return compress.FileRequest{
			Source: source, Destination: destination, Options: compress.Options{Format: format, Level: level},
		}
	}
	for _, x := range []struct {
		name string
		call func(context.Context, compress.FileRequest) (compress.FileResult, error)
		req  compress.FileRequest
		code string
		is   error
	}{
		{"missing source", c.CompressFile, request("/nowhere/at/all", out, "", 0), diag.CodeNotFound, fs.ErrNotExist},
		{"directory as source", c.CompressFile, request(t.TempDir(), out, "", 0), "", nil},
		{"existing destination", c.CompressFile, request(source, existing, "", 0), diag.CodeIO, nil},
		// Address 0 of a process is not mapped: a regular file that can be opened, and not read.
		{"source that cannot be read", c.CompressFile, request("/proc/self/mem", out, "", 0), diag.CodeIO, nil},
		{"encoded file that cannot be read", c.TestFile, request("/proc/self/mem", "", "read-only", 0), diag.CodeIO, nil},
		{"missing directory of the destination", c.CompressFile, request(source, "/nowhere/x", "", 0), diag.CodeNotFound, fs.ErrNotExist},
		{"unknown format", c.CompressFile, request(source, out, "zip", 0), diag.CodeInvalidOption, nil},
		{"format that is only read", c.CompressFile, request(source, out, "read-only", 0), diag.CodeInvalidOption, nil},
		{"unknown level", c.CompressFile, request(source, out, "flip", 10), diag.CodeInvalidOption, nil},
		{"failure halfway", c.CompressFile, request(source, out, "flip", 9), "", nil},
		{"cut before the magic", c.DecompressFile, request(empty, out, "flip", 0), diag.CodeCorrupt, nil},
		{"cut before the magic, tested", c.TestFile, request(empty, "", "flip", 0), diag.CodeCorrupt, nil},
		{"relative path", c.CompressFile, request("file", out, "", 0), diag.CodeProtocol, nil},
	} {
		t.Run(x.name, func(t *testing.T) {
			_, err := x.call(t.Context(), x.req)
			var d diag.Diagnostic
			if !errors.As(err, &d) || d.Code != x.code || d.Severity != diag.Error {
				t.Errorf("got %#v", err)
			}
			if x.is != nil && !errors.Is(err, x.is) {
				t.Errorf("%v is not %v", err, x.is)
			}
			if _, err := os.Lstat(out); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a destination is left: %v", err)
			}
		})
	}
	if b, err := os.ReadFile(existing); string(b) != "mine" {
		t.Errorf("the existing file now has %q, %v", b, err)
	}
}

func TestCancelledCompressionHasEndedWhenTheCallReturns(t *testing.T) {
	f := &flip{entered: make(chan struct{}), ended: make(chan struct{})}
	c := newFlip(t, f)
	source := writeFile(t, []byte("plain"))
	stopped := errors.New("the user said stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() { <-f.entered; cancel(stopped) }()
	_, err := c.CompressFile(ctx, compress.FileRequest{Source: source, Destination: source + ".f"})
	if !errors.Is(err, stopped) {
		t.Errorf("got %v", err)
	}
	select {
	case <-f.ended:
	default:
		t.Error("the plugin still works on it")
	}
	if _, err := os.Lstat(source + ".f"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a destination is left: %v", err)
	}
}

func TestManyFilesAtTheSameTime(t *testing.T) {
	c := newFlip(t, &flip{})
	var all sync.WaitGroup
	for i := range 32 {
		source := writeFile(t, bytes.Repeat([]byte{byte(i)}, i*1000))
		all.Go(func() {
			r, err := c.CompressFile(t.Context(), compress.FileRequest{Source: source, Destination: source + ".f"})
			if err != nil || r.PlainBytes != int64(i*1000) {
				t.Errorf("file %d: %+v, %v", i, r, err)
			}
			back, err := c.TestFile(t.Context(), compress.FileRequest{Source: source + ".f"})
			if err != nil || back.PlainCRC32 != r.PlainCRC32 {
				t.Errorf("file %d reads back as %+v, %v", i, back, err)
			}
		})
	}
	all.Wait()
}
