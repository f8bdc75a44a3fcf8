package report

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"
)

func TestSize(t *testing.T) {
	for _, tc := range []struct {
		bytes int64
		want  string
	}{
		{0, "0 B"},
		{1000, "1000 B"},
		{1023, "1023 B"},
		{1024, "1.0 KiB"},
		{40_000_000, "38.1 MiB"},
		{1 << 40, "1.0 TiB"},
		{-2048, "-2.0 KiB"},
	} {
		if got := Size(tc.bytes); got != tc.want {
			t.Errorf("Size(%d) = %q, want %q", tc.bytes, got, tc.want)
		}
	}
}

func TestDuration(t *testing.T) {
	for _, tc := range []struct {
		d    time.Duration
		want string
	}{
		{0, "less than one second"},
		{999 * time.Millisecond, "less than one second"},
		{time.Second, "1 second"},
		{time.Hour + 2*time.Second, "1 hour, 2 seconds"},
		{3*24*time.Hour + 2*time.Hour + time.Minute + 5*time.Second, "3 days, 2 hours, 1 minute, 5 seconds"},
		{-time.Hour, "1 hour ago"},
	} {
		if got := Duration(tc.d); got != tc.want {
			t.Errorf("Duration(%v) = %q, want %q", tc.d, got, tc.want)
		}
	}
}

func TestTimes(t *testing.T) {
	at := time.Date(2026, 1, 9, 10, 5, 0, 123456000, time.FixedZone("", 3600))
	if got, want := CTime(at), "Fri Jan  9 10:05:00 2026"; got != want {
		t.Errorf("CTime = %q, want %q", got, want)
	}
	if got, want := Timestamp(at), "2026-01-09 10:05:00.123456+01:00"; got != want {
		t.Errorf("Timestamp = %q, want %q", got, want)
	}
	if got, want := Timestamp(at.Truncate(time.Second)), "2026-01-09 10:05:00+01:00"; got != want {
		t.Errorf("Timestamp without microseconds = %q, want %q", got, want)
	}
	if got, want := NaiveTimestamp(at), "2026-01-09 10:05:00.123456"; got != want {
		t.Errorf("NaiveTimestamp = %q, want %q", got, want)
	}
}

func TestEncodeJSONLooksLikePython(t *testing.T) {
	v := map[string]any{
		"b": []any{1, 2.0, 1e-05, nil, true}, "a": "é\n\"𝄞", "empty": map[string]any{}, "list": []string{},
		"n": json.Number("1735725600.5"), "o": Object{{"z", 1}, {"a", 2}},
	}
	for _, tc := range []struct {
		indent int
		want   string
	}{
		{0, `{"a": "\u00e9\n\"\ud834\udd1e", "b": [1, 2.0, 1e-05, null, true], "empty": {}, "list": [], "n": 1735725600.5, "o": {"z": 1, "a": 2}}`},
		{4, "{\n    \"a\": \"\\u00e9\\n\\\"\\ud834\\udd1e\",\n    \"b\": [\n        1,\n        2.0,\n        1e-05,\n        null,\n        true\n    ],\n" +
			"    \"empty\": {},\n    \"list\": [],\n    \"n\": 1735725600.5,\n    \"o\": {\n        \"z\": 1,\n        \"a\": 2\n    }\n}"},
	} {
		var b bytes.Buffer
		if err := EncodeJSON(&b, v, tc.indent); err != nil {
			t.Fatal(err)
		}
		if b.String() != tc.want {
			t.Errorf("indent %d:\n got %s\nwant %s", tc.indent, b.String(), tc.want)
		}
	}
}
