package recovery

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/core/catalog"
)

func TestHooksLearnWhatWasAskedFor(t *testing.T) {
	p := &Plan{
		Backup: testBackup(1, 150004), Destination: "/srv/pg", Remote: "ssh postgres@db2",
		Tablespaces: []Tablespace{{Name: "hot", Location: "/fast/hot", Relocated: true}, {Name: "cold", Location: "/srv/cold"}},
	}
	ev := hookEvent(p, &Options{TargetTime: "2026-01-07 10:00", Exclusive: true, OptionPort: 2222, TargetAction: "promote", GetWAL: true})
	const want = `{"exclusive":true,"recovery_option_port":2222,"target_action":"promote","target_time":"2026-01-07 10:00"}`
	if diff := cmp.Diff(want, ev.OptionsJSON); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"hot": "/fast/hot"}, ev.Tablespaces); diff != "" {
		t.Error(diff)
	}
}

func TestHookThatRefusesLeavesTheDestinationAlone(t *testing.T) {
	layout := catalog.DefaultLayout(t.TempDir(), serverName)
	b := testBackup(1, 150004)
	control := filepath.Join(layout.BackupPath(b.ID), "data", controlFile)
	if err := os.MkdirAll(filepath.Dir(control), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(control, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := catalog.New(layout).Save(b); err != nil {
		t.Fatal(err)
	}
	r, _, h := newRestorer(t, layout)
	h.refuse = errors.New("not today")
	dest := filepath.Join(t.TempDir(), "data")
	// With get-wal nothing has to be in the archive.
	if _, err := r.Run(t.Context(), Options{Backup: b.ID, Destination: dest, GetWAL: true}); !errors.Is(err, h.refuse) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(dest); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the destination was touched: %v", err)
	}
	if h.pre != 1 || h.post != 0 {
		t.Errorf("hooks ran %d and %d times", h.pre, h.post)
	}
}
