package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/golang/snappy"

	"github.com/barman-go/barman/plugins/compress/internal/codectest"
	"github.com/barman-go/barman/sdk/compress"
)

func TestFormat(t *testing.T) {
	// No Debian has a command for the framing format, and its Python module does not work; see the next test.
	codectest.Run(t, new(coder), codectest.Tool{})
}

// TestFilesGoBothWaysWithTheReferenceImplementation has the marks read by a decoder that does not know them.
func TestFilesGoBothWaysWithTheReferenceImplementation(t *testing.T) {
	plain := bytes.Repeat([]byte("0/3000148 write-ahead log "), 10_000)
	c := new(coder)
	var ours, theirs, decoded bytes.Buffer
	if err := c.Compress(t.Context(), compress.Options{}, &ours, bytes.NewReader(plain)); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(snappy.NewReader(&ours))
	if err != nil || !bytes.Equal(got, plain) {
		t.Errorf("the reference reads %d bytes of ours, want %d: %v", len(got), len(plain), err)
	}
	w := snappy.NewBufferedWriter(&theirs)
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Decompress(t.Context(), compress.Options{}, &decoded, &theirs); err != nil || !bytes.Equal(decoded.Bytes(), plain) {
		t.Errorf("we read %d bytes of the reference's, want %d: %v", decoded.Len(), len(plain), err)
	}
}

func FuzzDecompress(f *testing.F) { codectest.Fuzz(f, new(coder)) }

// boundaries are the offsets between the chunks of a file in the framing format.
func boundaries(file []byte) []int {
	var at []int
	for i := 0; i+4 <= len(file); {
		i += 4 + int(binary.LittleEndian.Uint32(file[i:])>>8)
		at = append(at, i)
	}
	return at
}

func TestFileCutBetweenTwoChunksIsRefused(t *testing.T) {
	plain := make([]byte, 1<<20)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range plain {
		plain[i] = byte(r.IntN(3))
	}
	c := new(coder)
	var encoded bytes.Buffer
	if err := c.Compress(t.Context(), compress.Options{}, &encoded, bytes.NewReader(plain)); err != nil {
		t.Fatal(err)
	}
	cuts := boundaries(encoded.Bytes())
	// The identifier, two marks, and a chunk for every 64 KiB.
	if len(cuts) != 1+2+16 || cuts[len(cuts)-1] != encoded.Len() {
		t.Fatalf("chunks end at %v, the file has %d bytes", cuts, encoded.Len())
	}
	decode := func(in []byte) error {
		return c.Decompress(t.Context(), compress.Options{}, io.Discard, bytes.NewReader(in))
	}
	for i, cut := range cuts[:len(cuts)-1] {
		if err := decode(encoded.Bytes()[:cut]); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut at %d of %d: %v", cut, encoded.Len(), err)
		}
		if i == 0 {
			continue // the identifier alone before another file is a file of others that holds nothing
		}
		if err := decode(append(bytes.Clone(encoded.Bytes()[:cut]), encoded.Bytes()...)); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut at %d of %d and followed by another: %v", cut, encoded.Len(), err)
		}
	}
	if err := decode(encoded.Bytes()); err != nil {
		t.Error(err)
	}
}
