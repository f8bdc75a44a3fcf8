package backup

import (
	"errors"
	"testing"
	"time"
)

const sampleLabel = "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\n" +
	"CHECKPOINT LOCATION: 0/2000060\nBACKUP METHOD: streamed\nBACKUP FROM: primary\n" +
	"START TIME: 2026-01-10 10:00:00 UTC\nLABEL: barman\nSTART TIMELINE: 1\n"

func TestParseLabel(t *testing.T) {
	got, err := ParseLabel(sampleLabel)
	if err != nil || got.Name != "barman" || got.StartLSN != 0x2000028 || got.StartWAL.String() != "000000010000000000000002" ||
		!got.StartTime.Equal(time.Date(2026, 1, 10, 10, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v, %v", got, err)
	}
}

func FuzzParseLabel(f *testing.F) {
	f.Add(sampleLabel)
	f.Add(sampleLabel[:61])
	f.Add("LABEL: START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\n")
	f.Add("START WAL LOCATION: FFFFFFFFF/0 (file 000000010000000000000002)\n")
	f.Add("START WAL LOCATION: 0/2000028 (file 000000000000000000000002)\nSTART TIME: 2026-02-30 10:00:00 CET\n")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := ParseLabel(text)
		if err != nil {
			if !errors.Is(err, ErrLabel) {
				t.Fatalf("error of another kind: %v", err)
			}
			return
		}
		again := "START WAL LOCATION: " + l.StartLSN.String() + " (file " + l.StartWAL.String() + ")\n"
		if !l.StartTime.IsZero() {
			again += "START TIME: " + l.StartTime.Format("2006-01-02 15:04:05 MST") + "\n"
		}
		if l.Name != "" {
			again += "LABEL: " + l.Name + "\n"
		}
		if back, err := ParseLabel(again); err != nil || back != l {
			t.Fatalf("%q reads as %+v, and that as %+v, %v", text, l, back, err)
		}
	})
}
