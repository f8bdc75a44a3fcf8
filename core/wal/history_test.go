package wal

import (
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

const sampleHistory = "1\t0/5000000\tno recovery target specified\n" +
	"\n" +
	"  # written by hand\n" +
	"2 \t 0/7A00000\tbefore 2025-01-31 10:00:00.5+01\n"

func sample(t *testing.T) History {
	t.Helper()
	h, err := ParseHistory(3, strings.NewReader(sampleHistory))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestParseHistory(t *testing.T) {
	want := History{Timeline: 3, Ancestors: []Ancestor{
		{Timeline: 1, SwitchedAt: 0x5000000, Reason: "no recovery target specified"},
		{Timeline: 2, SwitchedAt: 0x7A00000, Reason: "before 2025-01-31 10:00:00.5+01"},
	}}
	if diff := cmp.Diff(want, sample(t)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestParseHistoryTolerates(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":         "",
		"only comments":   "# one\n\n   # two\n",
		"no reason":       "1\t0/5000000\n",
		"no last newline": "1\t0/5000000\tx",
		"carriage return": "1\t0/5000000\tx\r\n",
	} {
		if _, err := ParseHistory(3, strings.NewReader(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseHistoryErrors(t *testing.T) {
	tests := []struct {
		name, text string
		line       int
		reason     string
	}{
		{"no number", "one\t0/5000000\n", 1, "expected a numeric timeline"},
		{"timeline zero", "0\t0/5000000\n", 1, "expected a numeric timeline"},
		{"no location", "# x\n1\n", 2, "expected the location"},
		{"bad location", "1\t5000000\n", 1, "expected the location"},
		{"decreasing", "2\t0/1\n1\t0/2\n", 2, "increasing order"},
		{"twice", "1\t0/1\n1\t0/2\n", 2, "increasing order"},
		{"itself", "1\t0/1\n3\t0/2\n", 2, "lower number"},
		{"a descendant", "4\t0/1\n", 1, "lower number"},
		{"endless line", "1\t0/5000000\t" + strings.Repeat("x", maxHistoryLine) + "\n", 0, "line 1 is too long"},
	}
	for _, tt := range tests {
		_, err := ParseHistory(3, strings.NewReader(tt.text))
		historyErr, ok := errors.AsType[*HistoryError](err)
		if !ok || historyErr.Line != tt.line || !strings.Contains(historyErr.Reason, tt.reason) {
			t.Errorf("%s: %v", tt.name, err)
		} else if !strings.Contains(err.Error(), "00000003.history") {
			t.Errorf("%s: %q does not name the file", tt.name, err)
		}
	}
}

func TestParseHistoryPassesReadErrors(t *testing.T) {
	broken := errors.New("cable cut")
	if _, err := ParseHistory(3, iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestHistoryAncestry(t *testing.T) {
	h := sample(t)
	for tli, want := range map[TimelineID]bool{1: true, 2: true, 3: false, 4: false} {
		if got := h.IsAncestor(tli); got != want {
			t.Errorf("IsAncestor(%d) = %v", tli, got)
		}
	}
	for lsn, want := range map[LSN]TimelineID{0: 1, 0x4FFFFFF: 1, 0x5000000: 2, 0x79FFFFF: 2, 0x7A00000: 3, MaxLSN: 3} {
		if got := h.TimelineAt(lsn); got != want {
			t.Errorf("TimelineAt(%s) = %d, want %d", lsn, got, want)
		}
	}
}

func FuzzParseHistory(f *testing.F) {
	f.Add(uint32(3), sampleHistory)
	f.Add(uint32(2), "1 0/0\n")
	f.Add(uint32(9), "5\t0/9\n7\t0/3\n8\t0/5\n")
	f.Fuzz(func(t *testing.T, tli uint32, text string) {
		h, err := ParseHistory(TimelineID(tli), strings.NewReader(text))
		if err != nil {
			return
		}
		for i, a := range h.Ancestors {
			if a.Timeline >= h.Timeline || (i > 0 && a.Timeline <= h.Ancestors[i-1].Timeline) {
				t.Fatalf("timelines out of order: %+v", h)
			}
			path, err := h.Path(a.Timeline, 0)
			if err != nil {
				continue
			}
			checkPath(t, path, h.Timeline)
		}
	})
}

// checkPath checks what Path promises: spans join, none is empty, and the last one is the target's.
func checkPath(t *testing.T, path Path, target TimelineID) {
	t.Helper()
	for i, span := range path {
		if span.Begin >= span.End || (i > 0 && (span.Begin != path[i-1].End || span.Timeline <= path[i-1].Timeline)) {
			t.Fatalf("broken path %+v", path)
		}
	}
	if last := path[len(path)-1]; last.Timeline != target || last.End != MaxLSN {
		t.Fatalf("path %+v does not end on timeline %d", path, target)
	}
}
