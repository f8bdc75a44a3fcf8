package wal

import (
	"errors"
	"testing"
)

func TestParseLSN(t *testing.T) {
	for text, want := range map[string]LSN{
		"0/0":               0,
		"16/B374D848":       0x16_B374D848,
		"16/b374d848":       0x16_B374D848,
		"FFFFFFFF/FFFFFFFF": MaxLSN,
		"0/01000028":        0x1000028,
	} {
		if got, err := ParseLSN(text); err != nil || got != want {
			t.Errorf("ParseLSN(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "/", "0/", "/0", "0", "0/0/0", "0x1/0", "+1/0", "-1/0", " 0/0", "0/0 ", "0/0\n", "100000000/0", "0/G", "0/1_0",
	} {
		if got, err := ParseLSN(text); !errors.Is(err, ErrInvalidLSN) {
			t.Errorf("ParseLSN(%q) = %v, %v; want ErrInvalidLSN", text, got, err)
		}
	}
}

func TestLSNDiffAndOffset(t *testing.T) {
	a, b := LSN(0x1_00000010), LSN(0x0_FFFFFFF0)
	if got := a.Diff(b); got != 0x20 {
		t.Errorf("Diff = %d, want 32", got)
	}
	if got := b.Diff(a); got != -0x20 {
		t.Errorf("Diff = %d, want -32", got)
	}
	if got := LSN(0x5_01A00028).Offset(DefaultSegmentSize); got != 0xA00028 {
		t.Errorf("Offset = %x, want a00028", got)
	}
}

func FuzzParseLSN(f *testing.F) {
	for _, seed := range []string{"0/0", "16/B374D848", "FFFFFFFF/FFFFFFFF", "0/", "1/-1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		lsn, err := ParseLSN(text)
		if err != nil {
			return
		}
		again, err := ParseLSN(lsn.String())
		if err != nil || again != lsn {
			t.Errorf("ParseLSN(%q) = %v, but its text reads as %v, %v", text, lsn, again, err)
		}
	})
}
