package wal

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPathFollowsAncestors(t *testing.T) {
	tests := []struct {
		name  string
		tli   TimelineID
		start LSN
		want  Path
	}{
		{"from the first", 1, 0x3000028, Path{{1, 0x3000028, 0x5000000}, {2, 0x5000000, 0x7A00000}, {3, 0x7A00000, MaxLSN}}},
		{"from the middle", 2, 0x6000000, Path{{2, 0x6000000, 0x7A00000}, {3, 0x7A00000, MaxLSN}}},
		{"from the target", 3, 0x8000000, Path{{3, 0x8000000, MaxLSN}}},
	}
	for _, tt := range tests {
		got, err := sample(t).Path(tt.tli, tt.start)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		} else if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tt.name, diff)
		}
	}
}

func TestPathWithoutHistory(t *testing.T) {
	got, err := History{Timeline: 1}.Path(1, 0x2000028)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Path{{1, 0x2000028, MaxLSN}}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestPathSkipsTimelinesWithoutBytes(t *testing.T) {
	h := History{Timeline: 5, Ancestors: []Ancestor{{1, 0x100, ""}, {2, 0x100, ""}, {4, 0x80, ""}}}
	got, err := h.Path(1, 0x10)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Path{{1, 0x10, 0x100}, {5, 0x100, MaxLSN}}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestPathRefusesWhatPostgreSQLRefuses(t *testing.T) {
	tests := []struct {
		name    string
		tli     TimelineID
		start   LSN
		message string
	}{
		{"not an ancestor", 9, 0x3000000, "timeline 3 does not descend from timeline 9"},
		{"after the switch", 1, 0x6000000, "timeline 3 left timeline 1 at 0/5000000, before 0/6000000"},
		{"at the switch", 2, 0x7A00000, "timeline 3 left timeline 2 at 0/7A00000"},
	}
	for _, tt := range tests {
		_, err := sample(t).Path(tt.tli, tt.start)
		if _, ok := errors.AsType[*NotOnPathError](err); !ok || !strings.Contains(err.Error(), tt.message) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestReachesChecksTheEndOfABackup(t *testing.T) {
	h := sample(t)
	// A backup may end exactly where the timeline was left.
	for tli, end := range map[TimelineID]LSN{1: 0x5000000, 2: 0x7000000, 3: MaxLSN} {
		if err := h.Reaches(tli, end); err != nil {
			t.Error(err)
		}
	}
	for tli, end := range map[TimelineID]LSN{1: 0x5000001, 2: 0x7A00001, 7: 1} {
		if _, ok := errors.AsType[*NotOnPathError](h.Reaches(tli, end)); !ok {
			t.Errorf("timeline %d until %s is not in the past of 3", tli, end)
		}
	}
}

func TestPathPrefersTheNewerTimelineInASharedSegment(t *testing.T) {
	path, err := sample(t).Path(1, 0x3000028)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for s := range path.Segments(0x8000001, 16*mib) {
		got = append(got, s.String())
	}
	// Timeline 2 begins at the start of segment 05, timeline 3 in the middle of 07.
	want := []string{
		"000000010000000000000003", "000000010000000000000004", "000000020000000000000005",
		"000000020000000000000006", "000000030000000000000007", "000000030000000000000008",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	candidates := path.Candidates(0x7000000, 16*mib)
	if diff := cmp.Diff([]Segment{{3, 0, 7}, {2, 0, 7}}, candidates); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestPathSegmentsStopAtTheEnd(t *testing.T) {
	path := Path{{1, 0x2000028, MaxLSN}}
	count := 0
	for range path.Segments(0x4000000, 16*mib) {
		count++
	}
	if count != 2 {
		t.Errorf("%d segments up to the start of segment 4, want 2", count)
	}
	for s := range path.Segments(0x2000028, 16*mib) {
		t.Errorf("%s for an empty stretch", s)
	}
}
