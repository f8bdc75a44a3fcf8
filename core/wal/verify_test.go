package wal

import (
	"errors"
	"strings"
	"testing"
)

func name(t *testing.T, s string) FileName {
	t.Helper()
	n, err := ParseFileName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestVerify(t *testing.T) {
	const good, size = "000000010000000000000002", 16 * mib
	page := encode(header15(), 24)
	expect := Expect{SystemID: header15().SystemID, Version: 15, SegmentSize: size}
	older := header15()
	older.Timeline = 1
	tests := []struct {
		name   string
		page   []byte
		size   int64
		file   string
		expect Expect
		want   error
		text   string
	}{
		{"good", page, size, good, expect, nil, ""},
		{"nothing expected", page, size, good, Expect{}, nil, ""},
		{"unknown version expected", page, size, good, Expect{Version: 25}, nil, ""},
		{"first segment of a new timeline", encode(older, 24), size, "000000020000000000000002", expect, nil, ""},
		{"partial, full length", page, size, good + ".partial", expect, nil, ""},
		{"partial, shorter", page, 8192, good + ".partial", expect, nil, ""},
		{"partial, padded only", make([]byte, 8192), size, good + ".partial", expect, nil, ""},
		{"history file", []byte("1\t0/5000000\n"), 12, "00000002.history", expect, nil, ""},
		{"backup label", []byte("START"), 5, good + ".00000028.backup", expect, nil, ""},

		{"empty history file", nil, 0, "00000002.history", expect, ErrNotWAL, "the history file is empty"},
		{"empty partial", nil, 0, good + ".partial", expect, ErrNotWAL, "the partial segment is empty"},
		{"empty backup label", nil, 0, good + ".00000028.backup", expect, nil, ""},
		{"empty", nil, 0, good, expect, ErrNotWAL, "only 0 bytes"},
		{"zeros", make([]byte, 8192), size, good, expect, ErrNotWAL, "zeros"},
		{"partial that is something else", []byte(strings.Repeat("x", 100)), 100, good + ".partial", expect, ErrNotWAL, ""},
		{"other cluster", page, size, good, Expect{SystemID: 5, Version: 14}, ErrWrongCluster, "7372018234567890123, this server's is 5"},
		{"other version", page, size, good, Expect{SystemID: expect.SystemID, Version: 14}, ErrWrongVersion, "PostgreSQL 15"},
		{"other segment size", page, size, good, Expect{SegmentSize: mib}, ErrWrongSize, "16777216 bytes, this server's are 1048576"},
		{"cut off", page, size - 1, good, expect, ErrWrongSize, "16777215 bytes"},
		{"appended to", page, size + 1, good, expect, ErrWrongSize, "16777217 bytes"},
		{"partial too long", page, size + 1, good + ".partial", expect, ErrWrongSize, ""},
		{"recycled", page, size, "000000010000000000000009", expect, ErrAddressMismatch, "that of 000000010000000000000002"},
		{"name of another segment size", page, size, "000000010000000000000102", expect, ErrAddressMismatch, ""},
		{"from a later timeline", encode(PageHeader{
			Magic: 0xD110, Info: 2, Timeline: 2, Address: 0x2000000, SystemID: expect.SystemID, SegmentSize: size, BlockSize: 8192,
		}, 24), size, good, expect, ErrAddressMismatch, "000000020000000000000002"},
	}
	for _, tt := range tests {
		_, err := Verify(tt.page, tt.size, name(t, tt.file), tt.expect)
		if !errors.Is(err, tt.want) || (tt.want == nil) != (err == nil) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
			continue
		}
		if err == nil {
			continue
		}
		verifyErr, ok := errors.AsType[*VerifyError](err)
		if !ok || verifyErr.Advice == "" || !strings.HasPrefix(err.Error(), tt.file+": ") || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.text)
		}
	}
}
