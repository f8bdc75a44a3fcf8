package wal

import (
	"errors"
	"path"
	"regexp"
	"testing"
)

func TestParseFileName(t *testing.T) {
	tests := []struct {
		name    string
		kind    Kind
		hashDir string
		archive string
	}{
		{"000000010000000000000002", KindSegment, "0000000100000000", "0000000100000000/000000010000000000000002"},
		{"0000000a0000000b000000fF", KindSegment, "0000000A0000000B", "0000000A0000000B/0000000a0000000b000000fF"},
		{"000000010000000000000002.partial", KindPartial, "0000000100000000", "0000000100000000/000000010000000000000002.partial"},
		{
			"000000010000000000000002.00000028.backup", KindBackup, "0000000100000000",
			"0000000100000000/000000010000000000000002.00000028.backup",
		},
		{"00000002.history", KindHistory, "", "00000002.history"},
	}
	for _, tt := range tests {
		n, err := ParseFileName(tt.name)
		if err != nil {
			t.Error(err)
			continue
		}
		if n.Kind() != tt.kind || n.String() != tt.name || n.HashDir() != tt.hashDir || n.ArchivePath() != tt.archive {
			t.Errorf("%s: kind %v, name %s, directory %q, path %q", tt.name, n.Kind(), n, n.HashDir(), n.ArchivePath())
		}
		if n.IsWAL() != (tt.kind == KindSegment) {
			t.Errorf("%s: IsWAL = %v", tt.name, n.IsWAL())
		}
	}
}

func TestParseFileNameParts(t *testing.T) {
	n, err := ParseFileName("0000000c000000AB000000ff.00abcd28.backup")
	if err != nil {
		t.Fatal(err)
	}
	if s, ok := n.Segment(); !ok || s != (Segment{Timeline: 12, Log: 0xAB, Seg: 0xFF}) {
		t.Errorf("segment %v, %v", s, ok)
	}
	if offset, ok := n.Offset(); !ok || offset != 0xABCD28 {
		t.Errorf("offset %x, %v", offset, ok)
	}
	if got, want := n.Canonical(), "0000000C000000AB000000FF.00ABCD28.backup"; got != want {
		t.Errorf("canonical %s, want %s", got, want)
	}
	history, err := ParseFileName(HistoryName(0xAB))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := history.Segment(); ok || history.Timeline() != 0xAB {
		t.Errorf("history file: segment %v, timeline %d", ok, history.Timeline())
	}
	if got, want := BackupLabelName(1, 0x2000028, 16*mib), "000000010000000000000002.00000028.backup"; got != want {
		t.Errorf("label %s, want %s", got, want)
	}
}

var badNames = []string{
	"", ".", "..", "/", "foo", ".history", ".partial", "0000002.history", "000000002.history", "0000000G.history",
	"00000000000000000000000", "0000000000000000000000000", "00000001000000000000000g",
	"000000010000000000000002\n", " 000000010000000000000002", "../000000010000000000000002", "000000010000000000000002/",
	"000000010000000000000002.", "000000010000000000000002.PARTIAL", "000000010000000000000002.partial.partial",
	"000000010000000000000002.backup", "000000010000000000000002.0000028.backup", "000000010000000000000002.000000028.backup",
	"000000010000000000000002.0000002G.backup", "000000010000000000000002.00000028.BACKUP", "00000002.history.tmp",
	"000000010000000000000002.tmp", "000000010000000000000002.gz", "00000001000000000000000\x00", "000000010000000000000002.history",
	"0x0000010000000000000002", "٠٠٠٠٠٠٠١.history",
}

func TestParseFileNameRefusesEverythingElse(t *testing.T) {
	for _, name := range badNames {
		if n, err := ParseFileName(name); !errors.Is(err, ErrInvalidName) {
			t.Errorf("ParseFileName(%q) = %v, %v; want ErrInvalidName", name, n, err)
		}
		if IsFileName(name) {
			t.Errorf("IsFileName(%q)", name)
		}
	}
}

// pattern is the rule of the Barman manual and of Python Barman, in other words than the parser's.
var pattern = regexp.MustCompile(`\A[0-9A-Fa-f]{8}(?:[0-9A-Fa-f]{16}(?:\.[0-9A-Fa-f]{8}\.backup|\.partial)?|\.history)\z`)

func FuzzParseFileName(f *testing.F) {
	for _, name := range badNames {
		f.Add(name)
	}
	for _, name := range []string{
		"000000010000000000000002", "000000010000000000000002.partial", "000000010000000000000002.00000028.backup", "00000002.history",
	} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		n, err := ParseFileName(name)
		if (err == nil) != pattern.MatchString(name) {
			t.Fatalf("ParseFileName(%q): %v", name, err)
		}
		if err != nil {
			return
		}
		if path.Base(name) != name || path.Clean(n.ArchivePath()) != n.ArchivePath() {
			t.Errorf("%q is not safe in a path", name)
		}
		again, err := ParseFileName(n.Canonical())
		if err != nil || again.Kind() != n.Kind() || again.segment != n.segment || again.offset != n.offset {
			t.Errorf("%q: canonical name %q reads as %+v, %v", name, n.Canonical(), again, err)
		}
	})
}
