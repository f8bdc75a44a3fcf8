package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/barman-go/barman/sdk/compress"
)

func TestDamageIsNoticed(t *testing.T) {
	plain := strings.Repeat("write-ahead log ", 1000)
	var encoded, decoded bytes.Buffer
	if err := (coder{}).Compress(t.Context(), compress.Options{Level: 6}, &encoded, strings.NewReader(plain)); err != nil {
		t.Fatal(err)
	}
	whole := encoded.Bytes()
	if err := (coder{}).Decompress(t.Context(), compress.Options{}, &decoded, bytes.NewReader(whole)); err != nil || decoded.String() != plain {
		t.Fatalf("%d bytes, %v", decoded.Len(), err)
	}
	for cut := range whole {
		if (coder{}).Decompress(t.Context(), compress.Options{}, &decoded, bytes.NewReader(whole[:cut])) == nil {
			t.Errorf("cut after %d bytes: no error", cut)
		}
	}
	longer := append(bytes.Clone(whole), 0)
	if (coder{}).Decompress(t.Context(), compress.Options{}, &decoded, bytes.NewReader(longer)) == nil {
		t.Error("a byte after the end: no error")
	}
}
