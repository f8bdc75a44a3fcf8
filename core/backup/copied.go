package backup

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/report"
	"github.com/barman-go/barman/sdk/transfer"
)

// What is not copied. PostgreSQL manual, chapter "Continuous Archiving and Point-in-Time Recovery", section "Making a
// Base Backup Using the Low Level API", lists what may be left out; logs are not part of the cluster.
var (
	pgdataExclude = []string{
		"/pg_log/*", "/log/*", "/pg_xlog/*", "/pg_wal/*", "/global/pg_control",
		// of the backup that the cluster was once restored from; pg_basebackup leaves it out, too
		"/backup_manifest",
	}
	alwaysExclude = []string{
		"pgsql_tmp*", "postgresql.auto.conf.tmp", "current_logfiles.tmp", "pg_internal.init", "postmaster.pid",
		"postmaster.opts", "recovery.conf", "standby.signal",
		// temporary relations: t<backend>_<relfilenode>
		"**/[0-9]*/t[0-9]*_[0-9]*",
		"pg_dynshmem/*", "pg_notify/*", "pg_replslot/*", "pg_serial/*", "pg_stat_tmp/*", "pg_snapshots/*", "pg_subtrans/*",
	}
)

// copyBackup takes a backup file by file, while PostgreSQL is in backup mode.
func (s *session) copyBackup(ctx context.Context) error {
	if err := s.endLeftover(ctx); err != nil {
		return failed(actionIssue, err)
	}
	pg := s.strategy()
	start, err := pg.start(ctx, s.label(), s.ImmediateCheckpoint)
	if err != nil {
		return failed(actionIssue, err)
	}
	// PostgreSQL leaves backup mode on every way out of here.
	defer pg.abort(ctx)
	b := s.info
	b.BeginTime, b.BeginLSN, b.Timeline = start.Time, start.LSN, start.Timeline
	b.BeginWAL, b.BeginOffset = start.WAL, catalog.Int(int64(start.Offset))
	if err := s.started(); err != nil {
		return failed(actionIssue, err)
	}

	alive, done := pg.guard(ctx)
	defer done()
	if err := s.copyFiles(alive); err != nil {
		if cause := context.Cause(alive); cause != nil && ctx.Err() == nil {
			err = fmt.Errorf("the connection to PostgreSQL was lost during the backup: %w", cause)
		}
		s.Out.Error("The backup has failed %s", actionCopy)
		return failed(actionCopy, err)
	}
	s.Out.Info("Asking PostgreSQL server to finalize the backup.")
	reminded := remind(s.Out, archiverPatience, "PostgreSQL has been waiting for the WAL of the backup to be archived for %s; "+
		"see its log, and its archive_command")
	stop, err := pg.finish(ctx)
	reminded()
	if err != nil {
		return err
	}
	s.noteStop(stop)
	return failed(actionStop, s.Catalog.Save(b))
}

func (s *session) copyFiles(ctx context.Context) error {
	s.copyStart = s.Now()
	via, jobs := "rsync/SSH", ""
	direction := transfer.Fetch
	if len(s.Remote) == 0 {
		via, direction = "local rsync", transfer.Local
	}
	if s.Method != "rsync" && s.Method != "local-rsync" {
		via = s.Method
	}
	if s.Workers > 1 {
		jobs = fmt.Sprintf(" (%d jobs)", s.Workers)
	}
	s.Out.Info("Starting backup copy via %s for %s%s", via, s.info.ID, jobs)
	s.warnExternalFiles()
	res, err := s.Transfer.Copy(ctx, transfer.Plan{
		Op: s.info.ID, Direction: direction, Items: s.items(), Workers: max(s.Workers, 1), Remote: s.Remote,
		NetworkCompression: s.NetworkCompression, BandwidthLimit: s.BandwidthLimit, Retry: s.Retry,
		StartBatchSize: s.StartBatchSize, StartBatchPeriod: s.StartBatchPeriod,
	}, s.estimated())
	if err != nil {
		return err
	}
	s.info.CopyStats = copyStats(res)
	s.Out.Info("Copy done (time: %s)", report.Duration(s.Now().Sub(s.copyStart)))
	return s.Catalog.Save(s.info)
}

// items is the copy plan: tablespaces, PGDATA, configuration files outside it, and global/pg_control last.
func (s *session) items() []transfer.Item {
	b, layout := s.info, s.Catalog.Layout
	data := filepath.Join(layout.BackupPath(b.ID), "data")
	reuse := s.chooseReuse()
	var items []transfer.Item
	pgdata := transfer.Item{
		Label: "pgdata", Kind: transfer.Directory, Source: b.PGData, Destination: data,
		Exclude: append(append([]string{}, pgdataExclude...), alwaysExclude...), DeleteExtra: true,
	}
	for _, t := range b.Tablespaces {
		dest := filepath.Join(layout.BackupPath(b.ID), fmt.Sprint(t.OID))
		item := transfer.Item{
			Label: t.Name, Kind: transfer.Directory, Source: t.Location, Destination: dest,
			// A location can be shared by clusters of several versions, each with a directory of its own.
			Include: []string{fmt.Sprintf("/PG_%d_*", b.Version/10000)}, Exclude: append([]string{"/*"}, alwaysExclude...),
			BandwidthLimit: s.TablespaceBandwidthLimit[t.Name], DeleteExtra: true,
		}
		if reuse != nil && hasTablespace(reuse.backup, t.OID) {
			reuse.of(&item, layout.TablespacePath(reuse.backup.ID, t.OID))
		}
		items = append(items, item)
		pgdata.ExcludeAndProtect = append(pgdata.ExcludeAndProtect, fmt.Sprintf("/pg_tblspc/%d", t.OID))
		if rel, ok := inside(b.PGData, t.Location); ok {
			pgdata.ExcludeAndProtect = append(pgdata.ExcludeAndProtect, "/"+rel)
		}
	}
	if reuse != nil {
		reuse.of(&pgdata, layout.DataPath(reuse.backup.ID))
	}
	items = append(items, pgdata)
	for _, c := range []struct {
		label, path string
		optional    bool
	}{{"config_file", b.ConfigFile, false}, {"hba_file", b.HBAFile, false}, {"ident_file", b.IdentFile, true}} {
		if _, ok := inside(b.PGData, c.path); ok || c.path == "" {
			continue
		}
		items = append(items, transfer.Item{
			Label: c.label, Kind: transfer.File, Source: c.path,
			Destination: filepath.Join(data, filepath.Base(c.path)), Optional: c.optional, Phase: 1,
		})
	}
	// A copy that was interrupted has no control file, so no server can be started on it.
	items = append(items, transfer.Item{
		Label: "pg_control", Kind: transfer.File, Source: filepath.Join(b.PGData, "global/pg_control"),
		Destination: filepath.Join(data, "global/pg_control"), Phase: 2,
	})
	return items
}

// inside returns the path of p relative to dir when p lies below dir.
func inside(dir, p string) (string, bool) {
	rel, err := filepath.Rel(filepath.Clean(dir), filepath.Clean(p))
	if err != nil || rel == "." || rel == ".." || strings.HasPrefix(rel, "../") {
		return "", false
	}
	return rel, true
}

// warnExternalFiles tells about included configuration files that the backup does not hold.
func (s *session) warnExternalFiles() {
	var outside []string
	for _, f := range s.info.IncludedFiles {
		if _, ok := inside(s.info.PGData, f); !ok {
			outside = append(outside, f)
		}
	}
	s.warnNotCopied(outside)
}

func (s *session) warnNotCopied(files []string) {
	if len(files) == 0 {
		return
	}
	text := fmt.Sprintf("The following configuration files lie outside PGDATA and are not in the backup. Save them yourself:\n\t%s",
		strings.Join(files, "\n\t"))
	if s.ExternalConfiguration {
		s.Log.Debug(text)
		return
	}
	s.Out.Warning("%s", text)
}

func copyStats(res transfer.CopyResult) catalog.CopyStats {
	stats := catalog.CopyStats{
		TotalTime: res.Total.Seconds(), CopyTime: res.Copy.Seconds(), AnalysisTime: res.Analysis.Seconds(),
		NumberOfWorkers: res.Workers,
	}
	for _, item := range res.Items {
		stats.SerializedCopyTime += item.SerializedCopy.Seconds()
		stats.AnalysisTimePerItem = append(stats.AnalysisTimePerItem, itemTime(item.Label, item.Analysis))
		stats.CopyTimePerItem = append(stats.CopyTimePerItem, itemTime(item.Label, item.Copy))
		stats.SerializedCopyTimePerItem = append(stats.SerializedCopyTimePerItem, itemTime(item.Label, item.SerializedCopy))
	}
	return stats
}

func itemTime(label string, d time.Duration) catalog.ItemTime {
	return catalog.ItemTime{Item: label, Seconds: d.Seconds()}
}
