package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/report"
	"github.com/barman-go/barman/core/retention"
	"github.com/barman-go/barman/core/wal"
)

// backupList is the output of list-backups.
type backupList struct {
	server   string
	backups  *catalog.Backups
	minimal  bool
	stats    map[string]*catalog.WALStats
	verdicts *retention.Report
}

func (l *backupList) Console(p *report.Printer) {
	for i := len(l.backups.All) - 1; i >= 0; i-- {
		b := l.backups.All[i]
		if l.minimal {
			p.Line("%s", b.ID)
			continue
		}
		p.Line("%s", l.line(b))
	}
}

func (l *backupList) line(b *catalog.BackupInfo) string {
	text := l.server + " " + b.ID
	if b.BackupName != "" {
		text += " '" + b.BackupName + "'"
	}
	text += " - " + strings.ToUpper(string(b.Type())[:1]) + " - "
	if !b.Status.In(catalog.Usable...) {
		return text + string(b.Status)
	}
	size, walSize := l.sizes(b)
	text += fmt.Sprintf("%s - Size: %s - WAL Size: %s", report.CTime(b.EndTime.Local()), report.Size(size), report.Size(walSize))
	if b.Status == catalog.StatusWaitingForWALs {
		text += " - " + string(catalog.StatusWaitingForWALs)
	}
	if label := l.verdicts.Of(b.ID).Label; label != retention.Valid && label != retention.Undecided {
		text += " - " + string(label)
	}
	return text
}

// sizes are those of the backup with the WAL that makes it consistent, and of the WAL after it.
func (l *backupList) sizes(b *catalog.BackupInfo) (size, walSize int64) {
	size = b.Size.N
	if s := l.stats[b.ID]; s != nil {
		size += s.RequiredSize
		walSize = s.Size
	}
	return size, walSize
}

func (l *backupList) JSON() map[string]any {
	items := []any{}
	for i := len(l.backups.All) - 1; i >= 0; i-- {
		b := l.backups.All[i]
		if l.minimal {
			items = append(items, b.ID)
			continue
		}
		item := map[string]any{"backup_id": b.ID, "backup_type": string(b.Type()), "status": string(b.Status)}
		if b.BackupName != "" {
			item["backup_name"] = b.BackupName
		}
		if b.Status.In(catalog.Usable...) {
			size, walSize := l.sizes(b)
			item["end_time"] = report.CTime(b.EndTime.Local())
			item["end_time_timestamp"] = report.Epoch(b.EndTime)
			item["size"], item["size_bytes"] = report.Size(size), size
			item["wal_size"], item["wal_size_bytes"] = report.Size(walSize), walSize
			item["retention_status"] = "-"
			if label := l.verdicts.Of(b.ID).Label; label != retention.Valid {
				item["retention_status"] = string(label)
			}
		}
		items = append(items, item)
	}
	return map[string]any{l.server: items}
}

// keepStatus is the output of keep --status.
type keepStatus struct{ server, keep string }

func (k keepStatus) text() string {
	if k.keep == "" {
		return "nokeep"
	}
	return k.keep
}

func (k keepStatus) Console(p *report.Printer) {
	p.Line("Server %s:", k.server)
	p.Line("\tKeep: %s", k.text())
}

func (k keepStatus) JSON() map[string]any {
	return map[string]any{k.server: map[string]any{
		"keep_status": map[string]any{"description": "Keep", "message": k.text()},
	}}
}

// backupResult is the JSON of a backup that was taken; the console has seen everything already.
type backupResult struct{ b *catalog.BackupInfo }

func (backupResult) Console(*report.Printer) {}

func (r backupResult) JSON() map[string]any { return backupDocument(r.b, report.CTime) }

// backupDocument has everything that backup.info says, by its keys; times are in the form given.
func backupDocument(b *catalog.BackupInfo, form func(time.Time) string) map[string]any {
	opt := func(n catalog.OptInt) any {
		if !n.Valid {
			return nil
		}
		return n.N
	}
	text := orNil
	timeText := func(t time.Time) any {
		if t.IsZero() {
			return nil
		}
		return form(t)
	}
	seg := func(s wal.Segment) any {
		if s == (wal.Segment{}) {
			return nil
		}
		return s.String()
	}
	lsn := func(l wal.LSN) any {
		if l == wal.InvalidLSN {
			return nil
		}
		return l.String()
	}
	tablespaces := []any{}
	for _, t := range b.Tablespaces {
		tablespaces = append(tablespaces, []any{t.Name, int64(t.OID), t.Location})
	}
	stats := map[string]any{"total_time": b.CopyStats.TotalTime, "copy_time": b.CopyStats.CopyTime}
	if b.CopyStats.NumberOfWorkers > 0 {
		stats["number_of_workers"] = b.CopyStats.NumberOfWorkers
		stats["analysis_time"] = b.CopyStats.AnalysisTime
		stats["serialized_copy_time"] = b.CopyStats.SerializedCopyTime
	}
	doc := map[string]any{
		"backup_id": b.ID, "backup_label": text(b.BackupLabel), "begin_offset": opt(b.BeginOffset), "begin_time": timeText(b.BeginTime),
		"begin_wal": seg(b.BeginWAL), "begin_xlog": lsn(b.BeginLSN), "children_backup_ids": text(strings.Join(b.ChildrenIDs, ",")),
		"cluster_size": opt(b.ClusterSize), "compression": text(b.Compression), "config_file": text(b.ConfigFile), "copy_stats": stats,
		"data_checksums": text(b.DataChecksums), "deduplicated_size": opt(b.DeduplicatedSize), "encryption": text(b.Encryption),
		"end_offset": opt(b.EndOffset), "end_time": timeText(b.EndTime), "end_wal": seg(b.EndWAL), "end_xlog": lsn(b.EndLSN),
		"error": text(b.Error), "hba_file": text(b.HBAFile), "ident_file": text(b.IdentFile), "included_files": b.IncludedFiles,
		"mode": string(b.Mode), "parent_backup_id": text(b.ParentID), "pgdata": text(b.PGData), "server_name": b.ServerName,
		"size": opt(b.Size), "status": string(b.Status), "summarize_wal": text(b.SummarizeWAL), "systemid": text(b.SystemID),
		"tablespaces": tablespaces, "timeline": int64(b.Timeline), "version": b.Version, "xlog_segment_size": int64(b.SegmentSize),
	}
	if b.BackupName != "" {
		doc["backup_name"] = b.BackupName
	}
	return doc
}
