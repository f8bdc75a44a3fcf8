package recovery

import (
	"strings"
	"testing"
	"time"

	"github.com/barman-go/barman/core/catalog"
)

func rome(t testing.TB) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Rome")
	if err != nil {
		t.Skipf("no time zone database: %v", err)
	}
	return zone
}

func TestTargetTimeIsWrittenWithItsOffset(t *testing.T) {
	zone := rome(t)
	for _, tc := range []struct {
		text, want string
		assumed    bool
	}{
		{"2026-01-07 10:00:00+00", "2026-01-07 10:00:00+00:00", false},
		{"2026-01-07 10:00:00 +02:30", "2026-01-07 10:00:00+02:30", false},
		{"2026-01-07 10:00:00-0330", "2026-01-07 10:00:00-03:30", false},
		{"2026-01-07T10:00:00Z", "2026-01-07 10:00:00+00:00", false},
		{"2026-01-07T10:00:00.123456+01:00", "2026-01-07 10:00:00.123456+01:00", false},
		{"2026-01-07 10:00:00,5 UTC", "2026-01-07 10:00:00.500000+00:00", false},
		{"2026-01-07 10:00:00.1234567", "2026-01-07 10:00:00.123456+01:00", true},
		{"2026-07-07 10:00:00", "2026-07-07 10:00:00+02:00", true},
		{"2026-7-7 9:05", "2026-07-07 09:05:00+02:00", true},
		{"2026/07/07 10:00", "2026-07-07 10:00:00+02:00", true},
		{"2026-07-07", "2026-07-07 00:00:00+02:00", true},
		{"2026-07-07 10", "2026-07-07 10:00:00+02:00", true},
		{"20260107T100000", "2026-01-07 10:00:00+01:00", true},
		{"20260107T100000Z", "2026-01-07 10:00:00+00:00", false},
		{"20260107T100000+0500", "2026-01-07 10:00:00+05:00", false},
		{"20260107 1000", "2026-01-07 10:00:00+01:00", true},
		{"2026-01-07 10:00 PM", "2026-01-07 22:00:00+01:00", true},
		{"2026-01-07 10:00:01 p.m. CET", "2026-01-07 22:00:01+01:00", false},
		{"2026-01-07 10:00:00 Europe/Rome", "2026-01-07 10:00:00+01:00", false},
		{"2026-01-07 10:00:00 America/Argentina/Buenos_Aires", "2026-01-07 10:00:00-03:00", false},
		{"2026-01-07 10:00:00 EST", "2026-01-07 10:00:00-05:00", false},
		{"Wed Jan  7 10:00:00 2026", "2026-01-07 10:00:00+01:00", true},
		{"Wed Jan  7 10:00:00 UTC 2026", "2026-01-07 10:00:00+00:00", false},
		{"Wed Jan  7 10:00:00 PM CET 2026", "2026-01-07 22:00:00+01:00", false},
		{"Wed, 7 Jan 2026 10:00:00 +0100", "2026-01-07 10:00:00+01:00", false},
		{"January 7, 2026 10:00 pm", "2026-01-07 22:00:00+01:00", true},
		{"7 january 2026 10:00", "2026-01-07 10:00:00+01:00", true},
		// The repeated hour is clear once the offset is given.
		{"2026-10-25 02:30:00+01", "2026-10-25 02:30:00+01:00", false},
		{"2026-10-25 02:30:00 CEST", "2026-10-25 02:30:00+02:00", false},
	} {
		got, assumed, err := parseTargetTime(tc.text, zone)
		if err != nil {
			t.Errorf("%q: %v", tc.text, err)
			continue
		}
		if text := catalog.FormatTime(got); text != tc.want || assumed != tc.assumed {
			t.Errorf("%q: got %s, zone assumed %v; want %s, %v", tc.text, text, assumed, tc.want, tc.assumed)
		}
	}
}

func TestTargetTimeThatIsNoMomentIsRefused(t *testing.T) {
	zone := rome(t)
	for text, want := range map[string]string{
		"infinity":                     "not a fixed moment",
		"-Infinity":                    "not a fixed moment",
		"now":                          "not a fixed moment",
		"yesterday":                    "not a fixed moment",
		"":                             "not a date and time",
		"soon":                         "not a date and time",
		"10:00":                        "not a date and time",
		"2026-02-30 10:00":             "not a date and time",
		"2026-01-07 25:00":             "not a date and time",
		"01/02/2026 10:00":             "day or the month",
		"1.2.2026":                     "day or the month",
		"2026-01-07 10:00:00+25":       "not an offset",
		"2026-01-07 10:00:00+01:75":    "not an offset",
		"2026-01-07 10:00:00 IST":      "several meanings",
		"2026-01-07 10:00:00 Mars/Pit": "unknown",
		"2026-03-29 02:30:00":          "does not exist",
		"2026-10-25 02:30:00":          "happened twice",
		"1969-01-01 00:00:00+00":       "out of range",
	} {
		got, _, err := parseTargetTime(text, zone)
		if err == nil {
			t.Errorf("%q: accepted as %v", text, got)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %q does not say %q", text, err, want)
		}
	}
}

func FuzzParseTargetTime(f *testing.F) {
	f.Add("2026-01-07 10:00:00+00")
	f.Add("Wed Jan  7 10:00:00 UTC 2026")
	f.Add("7 Jan 2026 3 PM Europe/Rome")
	f.Fuzz(func(t *testing.T, text string) {
		got, _, err := parseTargetTime(text, time.UTC)
		if err != nil {
			return
		}
		again, assumed, err := parseTargetTime(catalog.FormatTime(got), time.UTC)
		if err != nil || assumed || !again.Equal(got) {
			t.Fatalf("%q is %v, but reads back as %v, zone assumed %v, error %v", text, got, again, assumed, err)
		}
	})
}
