package codectest

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/sdk/compress"
	"github.com/barman-go/barman/sdk/toolexec"
)

// Tool is the command line program of a format; the zero value says that there is none.
type Tool struct {
	// Name is looked up in PATH; the tests that need it are skipped without it.
	Name string
	// Decode is the line of options to decompress standard input to standard output.
	Decode string
	// Encode are the ways to compress standard input to standard output, each a line of options.
	Encode []string
}

// Run runs the suite. The compressor's first format must detect damage by itself.
func Run(t *testing.T, c compress.Compressor, tool Tool) {
	t.Run("every level gives back the input", func(t *testing.T) { everyLevelGivesBackTheInput(t, c) })
	if tool.Name != "" {
		t.Run("the tool reads our files", func(t *testing.T) { toolReadsOurFiles(t, c, tool) })
		t.Run("we read files of the tool", func(t *testing.T) { weReadFilesOfTool(t, c, tool) })
	}
	t.Run("concatenated files are read as one", func(t *testing.T) { concatenatedFilesAreReadAsOne(t, c) })
	t.Run("damaged files are refused", func(t *testing.T) { damagedFilesAreRefused(t, c) })
	t.Run("a failed write is reported and forgotten", func(t *testing.T) { failedWriteIsReportedAndForgotten(t, c) })
	t.Run("files are coded at the same time", func(t *testing.T) { filesAreCodedAtTheSameTime(t, c) })
}

// walLike returns plain bytes of the size of one WAL segment: pages that repeat, noise, and zeros at the end.
func walLike(seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	page := make([]byte, 8192)
	for i := range 4000 {
		page[i] = byte(r.Uint32())
	}
	data := make([]byte, 16<<20)
	for at := 0; at < len(data)*3/4; at += len(page) {
		for range 20 {
			page[r.IntN(len(page))] = byte(r.Uint32())
		}
		copy(data[at:], page)
	}
	return data
}

func inputs() map[string][]byte {
	noise := make([]byte, 300_001)
	r := rand.New(rand.NewPCG(7, 7))
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	return map[string][]byte{
		"empty": {}, "one byte": {'x'}, "history file": []byte("1\t0/3000148\tno recovery target specified\n"),
		"noise": noise, "segment": walLike(1)[:4<<20],
	}
}

func encode(t *testing.T, c compress.Compressor, level int, plain []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := c.Compress(t.Context(), compress.Options{Format: c.Formats()[0].ID, Level: level}, &out, bytes.NewReader(plain)); err != nil {
		t.Fatalf("compress: %v", err)
	}
	return out.Bytes()
}

func decode(c compress.Compressor, encoded []byte) ([]byte, error) {
	var out bytes.Buffer
	err := c.Decompress(context.Background(), compress.Options{Format: c.Formats()[0].ID}, &out, bytes.NewReader(encoded))
	return out.Bytes(), err
}

func everyLevelGivesBackTheInput(t *testing.T, c compress.Compressor) {
	levels := c.Formats()[0].Levels
	if levels == nil {
		levels = &compress.Levels{}
	}
	for name, plain := range inputs() {
		for level := levels.Min; level <= levels.Max; level++ {
			if len(plain) > 1<<20 && level != levels.Low && level != levels.Medium && level != levels.High {
				plain = plain[:1<<20]
			}
			encoded := encode(t, c, level, plain)
			if magic := c.Formats()[0].Magic; !bytes.HasPrefix(encoded, magic) {
				t.Fatalf("%s, level %d: starts with % x, want the magic % x", name, level, encoded[:min(len(encoded), 10)], magic)
			}
			got, err := decode(c, encoded)
			if err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("%s, level %d: got %d bytes, error %v; want %d bytes", name, level, len(got), err, len(plain))
			}
		}
	}
}

func toolReadsOurFiles(t *testing.T, c compress.Compressor, tool Tool) {
	for name, plain := range inputs() {
		got := filter(t, encode(t, c, 0, plain), tool.Name, strings.Fields(tool.Decode)...)
		if !bytes.Equal(got, plain) {
			t.Errorf("%s: %s gave %d bytes, want %d", name, tool.Name, len(got), len(plain))
		}
	}
}

func weReadFilesOfTool(t *testing.T, c compress.Compressor, tool Tool) {
	for _, line := range tool.Encode {
		for name, plain := range inputs() {
			got, err := decode(c, filter(t, plain, tool.Name, strings.Fields(line)...))
			if err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%s, %s %s: got %d bytes, error %v; want %d bytes", name, tool.Name, line, len(got), err, len(plain))
			}
		}
	}
}

func concatenatedFilesAreReadAsOne(t *testing.T, c compress.Compressor) {
	a, b := []byte("first"), []byte(" second")
	got, err := decode(c, append(bytes.Clone(encode(t, c, 0, a)), encode(t, c, 0, b)...))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("first second", string(got)); diff != "" {
		t.Errorf("plain (-want +got):\n%s", diff)
	}
}

func damagedFilesAreRefused(t *testing.T, c compress.Compressor) {
	whole := encode(t, c, 0, walLike(2)[:1<<20])
	damaged := map[string][]byte{
		"magic only":               whole[:len(c.Formats()[0].Magic)],
		"not compressed":           []byte("plain text, not an archive"),
		"one zero after the end":   append(bytes.Clone(whole), 0),
		"three bytes after it":     append(bytes.Clone(whole), 'a', 'b', 'c'),
		"garbage after the end":    append(bytes.Clone(whole), []byte("garbage that is no frame")...),
		"half of a second archive": append(bytes.Clone(whole), whole[:len(whole)/2]...),
	}
	for _, cut := range []int{1, 2, 4, 5, 8, 9, 100, len(whole) / 2, len(whole) - 8, len(whole) - 1} {
		damaged["cut after "+string(rune('a'+len(damaged)))] = whole[:cut]
	}
	for _, at := range []int{len(whole) / 3, len(whole) / 2, len(whole) - 2} {
		flipped := bytes.Clone(whole)
		flipped[at] ^= 0x10
		damaged["bit flipped "+string(rune('a'+len(damaged)))] = flipped
	}
	for name, in := range damaged {
		if got, err := decode(c, in); err == nil {
			t.Errorf("%s (%d bytes): no error, %d plain bytes", name, len(in), len(got))
		}
	}
	// A pooled decoder must not carry the damage into the next file.
	if _, err := decode(c, whole); err != nil {
		t.Errorf("a sound file after damaged ones: %v", err)
	}
}

func failedWriteIsReportedAndForgotten(t *testing.T, c compress.Compressor) {
	plain := walLike(3)[:1<<20]
	if err := c.Compress(t.Context(), compress.Options{Level: 1}, fullDisk{}, bytes.NewReader(plain)); err == nil {
		t.Error("compress to a full disk: no error")
	}
	encoded := encode(t, c, 1, plain)
	if err := c.Decompress(t.Context(), compress.Options{}, fullDisk{}, bytes.NewReader(encoded)); err == nil {
		t.Error("decompress to a full disk: no error")
	}
	if got, err := decode(c, encode(t, c, 1, plain)); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("after failures: %d bytes, %v", len(got), err)
	}
}

func filesAreCodedAtTheSameTime(t *testing.T, c compress.Compressor) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			plain := walLike(uint64(i))[:1<<20]
			var out bytes.Buffer
			if err := c.Compress(t.Context(), compress.Options{Level: i % 3}, &out, bytes.NewReader(plain)); err != nil {
				t.Error(err)
			}
			if got, err := decode(c, out.Bytes()); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("file %d: %d bytes, %v", i, len(got), err)
			}
		})
	}
	wg.Wait()
}

// Fuzz feeds anything to the decoder, which must give an error or plain bytes, and come back.
func Fuzz(f *testing.F, c compress.Compressor) {
	var seed bytes.Buffer
	plain := strings.NewReader(strings.Repeat("barman ", 100))
	if err := c.Compress(f.Context(), compress.Options{Level: 1}, &seed, plain); err != nil {
		f.Fatal(err)
	}
	f.Add(seed.Bytes())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, in []byte) {
		// A few bytes may legally stand for gigabytes; a full disk ends that.
		_ = c.Decompress(t.Context(), compress.Options{}, &limited{left: 1 << 20}, bytes.NewReader(in))
	})
}

func filter(t *testing.T, in []byte, name string, args ...string) []byte {
	t.Helper()
	if _, err := toolexec.LookPath(name, nil); err != nil {
		t.Skipf("%s is not installed", name)
	}
	var out bytes.Buffer
	_, err := toolexec.Run(t.Context(), toolexec.Command{
		Name: name, Args: args, Stdin: bytes.NewReader(in), Stdout: &out,
	})
	if err != nil {
		t.Fatalf("%s %v: %v", name, args, err)
	}
	return out.Bytes()
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

type limited struct{ left int }

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}
