package recovery

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/test/lab"
)

// incrementalVersion is a version with incremental backups of blocks, if one is installed.
const incrementalVersion = 17

// incremental takes a block-level incremental backup of another one into the catalog.
func (s *site) incremental(t *testing.T, id, parent string) *catalog.BackupInfo {
	t.Helper()
	location := s.cluster.MustSQL(t, "SELECT pg_tablespace_location("+s.oid+")")
	dir := s.layout.BackupPath(id)
	began := time.Now()
	cmd := s.cluster.Tool(t.Context(), "pg_basebackup", "-D", filepath.Join(dir, "data"), "-X", "none", "-c", "fast",
		"-T", location+"="+filepath.Join(dir, s.oid), "-d", s.cluster.Conninfo("", ""),
		"--incremental="+filepath.Join(s.layout.DataPath(parent), manifestFile))
	if res, err := lab.Run(cmd); err != nil || res.Exit != 0 {
		t.Fatalf("pg_basebackup: %v\n%s", err, res.Stderr)
	}
	info := s.describe(t, id, location, began)
	info.ParentID, info.SummarizeWAL = parent, "on"
	if err := catalog.New(s.layout).Save(info); err != nil {
		t.Fatal(err)
	}
	return info
}

// TestIncrementalBackupIsCombined restores a chain of three backups with a tablespace, after everything that can be wrong with it was
// refused beforehand and a first attempt was interrupted.
func TestIncrementalBackupIsCombined(t *testing.T) {
	lab.NeedPostgres(t, incrementalVersion)
	s := newSite(t, lab.ClusterOptions{Version: incrementalVersion, WALSegmentSizeMB: 1, Settings: map[string]string{"summarize_wal": "on"}})
	const full, first, last = "20260110T100000", "20260110T110000", "20260110T120000"
	s.cluster.MustSQL(t, "CREATE TABLE rows TABLESPACE hot AS SELECT g AS id, repeat('x', 500) AS text FROM generate_series(1, 2000) g")
	s.backup(t, full, false)
	s.cluster.MustSQL(t, "INSERT INTO rows VALUES (2001, 'of the first'); CREATE TABLE more AS SELECT 1 AS id")
	s.incremental(t, first, full)
	s.cluster.MustSQL(t, "UPDATE rows SET text = 'of the last' WHERE id = 7; INSERT INTO more VALUES (2)")
	backup := s.incremental(t, last, first)
	s.cluster.MustSQL(t, "SELECT pg_create_restore_point('something to archive')")
	s.archiveAll(t)

	r, out, _ := newRestorer(t, s.layout)
	r.PathPrefix = []string{s.cluster.Bin}
	dir := lab.ScratchDir(t)
	o := Options{Backup: last, Destination: filepath.Join(dir, "data"), Tablespaces: []string{"hot:" + filepath.Join(dir, "hot")}, Workers: 2}

	t.Run("what is wrong is refused", func(t *testing.T) { s.refusedChains(t, r, o) })

	t.Run("interrupted and taken up again", func(t *testing.T) {
		// A program of the right version that stops in the middle.
		broken := filepath.Join(dir, "broken")
		if err := os.Mkdir(broken, 0o700); err != nil {
			t.Fatal(err)
		}
		script := fmt.Sprintf("#!/bin/sh\nif [ \"$1\" = --version ]; then exec %[1]s --version; fi\n"+
			"for a; do case $a in --output=*) d=${a#--output=};; esac; done\nmkdir -p $d/global && touch $d/global/pg_control\necho stopped >&2; exit 1\n",
			filepath.Join(s.cluster.Bin, combineTool))
		if err := os.WriteFile(filepath.Join(broken, combineTool), []byte(script), 0o700); err != nil { //nolint:gosec // a program
			t.Fatal(err)
		}
		working := r.PathPrefix
		r.PathPrefix = []string{broken}
		var step *StepError
		if _, err := r.Run(t.Context(), o); !errors.As(err, &step) || !strings.Contains(err.Error(), "stopped") {
			t.Fatalf("error %v, want a step that failed and what the program said", err)
		}
		wantFile(t, filepath.Join(o.Destination, IncompleteFile))
		wantNoFile(t, o.Destination, controlFile)

		r.PathPrefix = working
		result, err := r.Run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if !result.Plan.Resumed {
			t.Error("the interrupted restore was not taken up again")
		}
	})
	wantNoFile(t, o.Destination, combined, IncompleteFile, manifestFile)
	wantFile(t, filepath.Join(o.Destination, manifestFile+"."+last))
	give(t, dir)
	c := lab.OpenCluster(t, o.Destination, lab.ClusterOptions{Version: incrementalVersion})
	const found = "SELECT (SELECT count(*) FROM rows), (SELECT text FROM rows WHERE id = 7), (SELECT count(*) FROM more)"
	if got, want := c.MustSQL(t, found), "2001|of the last|2"; got != want {
		t.Errorf("the restored server has %s, want %s", got, want)
	}
	if b, err := r.Catalog.Load(last); err != nil || b.Status != backup.Status {
		t.Errorf("the backup afterwards: %+v, error %v", b, err)
	}
	for _, said := range []string{"Start combining backup via pg_combinebackup for backup " + last, "End combining backup via pg_combinebackup"} {
		if !strings.Contains(strings.Join(out.infos, "\n"), said) {
			t.Errorf("nobody was told %q", said)
		}
	}
}

// refusedChains breaks the chain in one way after the other, and mends it again.
func (s *site) refusedChains(t *testing.T, r *Restorer, o Options) {
	full := s.layout.InfoPath("20260110T100000")
	first := "20260110T110000"
	save := func(change func(b *catalog.BackupInfo)) func() error {
		return func() error {
			_, err := r.Catalog.Update(first, func(b *catalog.BackupInfo) error { change(b); return nil })
			return err
		}
	}
	link := tablespaceLink(s.layout.DataPath(first), mustOID(t, s.oid))
	target, err := os.Readlink(link)
	if err != nil {
		t.Fatal(err)
	}
	control := filepath.Join(s.layout.DataPath(first), controlFile)
	working := r.PathPrefix
	for _, c := range []struct {
		name, want  string
		spoil, mend func() error
	}{
		{
			"the full backup is gone", "20260110T100000, which it is based on, is not in the catalog",
			func() error { return os.Rename(full, full+".away") }, func() error { return os.Rename(full+".away", full) },
		},
		{
			"one of the chain has failed", "is FAILED",
			save(func(b *catalog.BackupInfo) { b.Status = catalog.StatusFailed }), save(func(b *catalog.BackupInfo) { b.Status = catalog.StatusDone }),
		},
		{
			"one of the chain is encrypted", "is encrypted",
			save(func(b *catalog.BackupInfo) { b.Encryption = "gpg" }), save(func(b *catalog.BackupInfo) { b.Encryption = "" }),
		},
		{
			"one of the chain has lost a file", "is damaged",
			func() error { return os.Rename(control, control+".away") }, func() error { return os.Rename(control+".away", control) },
		},
		{
			"a tablespace is elsewhere", "which pg_combinebackup needs",
			func() error { return errors.Join(os.Remove(link), os.Symlink("/nowhere", link)) },
			func() error { return errors.Join(os.Remove(link), os.Symlink(target, link)) },
		},
		{
			"no program of the version", "pg_combinebackup of PostgreSQL 17 is needed on this host",
			func() error { r.PathPrefix = nil; return nil }, func() error { r.PathPrefix = working; return nil },
		},
	} {
		if err := c.spoil(); err != nil {
			t.Fatal(err)
		}
		plan, err := r.Plan(t.Context(), o)
		if merr := c.mend(); merr != nil {
			t.Fatal(merr)
		}
		var refused *PlanError
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
		if plan == nil {
			t.Errorf("%s: there is no plan to show", c.name)
		}
	}
	plan, err := r.Plan(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(plan.basedOn(), " "); got != "20260110T100000 "+first || plan.Way != CombineHere || plan.StagingPath != "" {
		t.Errorf("the plan combines with %q, way %d, work area %q", got, plan.Way, plan.StagingPath)
	}
	wantNoFile(t, filepath.Dir(o.Destination), "data")
}

func mustOID(t *testing.T, text string) (oid uint32) {
	t.Helper()
	if _, err := fmt.Sscan(text, &oid); err != nil {
		t.Fatal(err)
	}
	return oid
}
