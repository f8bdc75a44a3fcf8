package main

import (
	"fmt"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/report"
)

func (d *backupDetails) JSON() map[string]any {
	b := d.b
	doc := map[string]any{
		"backup_id": b.ID, "status": string(b.Status),
		"server_information": map[string]any{"data_checksums": textOrNull(b.DataChecksums), "summarize_wal": textOrNull(b.SummarizeWAL)},
	}
	put := func(known bool, name string, value any) {
		if known {
			doc[name] = value
		}
	}
	put(b.BackupName != "", "backup_name", b.BackupName)
	put(b.SystemID != "", "system_id", b.SystemID)
	if !b.Status.In(catalog.Usable...) {
		put(b.Error != "", "error", b.Error)
		return map[string]any{d.server: doc}
	}
	doc["backup_type"] = string(b.Type())
	if b.ClusterSize.Valid {
		doc["cluster_size"], doc["cluster_size_bytes"] = report.Size(b.ClusterSize.N), b.ClusterSize.N
	}
	doc["postgresql_version"] = b.Version
	doc["pgdata_directory"] = b.PGData
	tablespaces := []any{}
	for _, t := range b.Tablespaces {
		tablespaces = append(tablespaces, map[string]any{"name": t.Name, "location": t.Location, "oid": int64(t.OID)})
	}
	doc["tablespaces"] = tablespaces
	doc["base_backup_information"] = d.baseBackupJSON()
	doc["wal_information"] = d.walJSON()
	doc["catalog_information"] = d.catalogJSON()
	return map[string]any{d.server: doc}
}

func textOrNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func (d *backupDetails) baseBackupJSON() map[string]any {
	b, w := d.b, d.wal
	size := b.DeduplicatedSize.N
	doc := map[string]any{
		"backup_method": string(b.Mode), "encryption": textOrNull(b.Encryption), "compression": textOrNull(b.Compression),
		"backup_size": report.Size(size), "backup_size_bytes": size,
		"backup_size_with_wals": report.Size(size + w.RequiredSize), "backup_size_with_wals_bytes": size + w.RequiredSize,
		"wal_size": report.Size(w.RequiredSize), "wal_size_bytes": w.RequiredSize,
		"timeline": int64(b.Timeline), "begin_wal": b.BeginWAL.String(), "end_wal": b.EndWAL.String(), "wal_num": w.RequiredCount,
		"begin_time": report.Timestamp(b.BeginTime), "begin_time_timestamp": report.Epoch(b.BeginTime),
		"end_time": report.Timestamp(b.EndTime), "end_time_timestamp": report.Epoch(b.EndTime),
		"begin_offset": b.BeginOffset.N, "end_offset": b.EndOffset.N, "begin_lsn": b.BeginLSN.String(), "end_lsn": b.EndLSN.String(),
	}
	if saved, ratio, ok := d.saved(); ok {
		doc["resources_saved"], doc["resources_saved_bytes"] = report.Size(saved), saved
		doc["resources_saved_percentage"] = report.Percent(ratio)
	}
	if ratio := catalog.CompressionRatio(w.RequiredCount, w.RequiredSize, b.SegmentSize); ratio > 0 {
		doc["wal_compression_ratio"] = report.Percent(ratio)
	}
	if s := b.CopyStats; !s.IsZero() {
		doc["copy_time"], doc["copy_time_seconds"] = report.Duration(floatSeconds(s.CopyTime)), s.CopyTime
		if s.AnalysisTime >= 1 {
			doc["analysis_time"], doc["analysis_time_seconds"] = report.Duration(floatSeconds(s.AnalysisTime)), s.AnalysisTime
		}
		doc["throughput"], doc["throughput_bytes"] = report.SizeFloat(d.throughput())+"/s", int64(d.throughput())
		doc["number_of_workers"] = max(s.NumberOfWorkers, 1)
	}
	return doc
}

func (d *backupDetails) walJSON() map[string]any {
	w := d.wal
	doc := map[string]any{
		"no_of_files": w.Count, "disk_usage": report.Size(w.Size), "disk_usage_bytes": w.Size, "wal_rate": 0, "wal_rate_per_second": w.Rate,
		"compression_ratio": 0, "last_available": textOrNull(w.Last), "timelines": d.timelineNames(),
	}
	if w.Rate > 0 {
		doc["wal_rate"] = fmt.Sprintf("%.2f/hour", w.Rate*3600)
	}
	if ratio := catalog.CompressionRatio(w.Count, w.Size, d.b.SegmentSize); ratio > 0 {
		doc["compression_ratio"] = report.Percent(ratio)
	}
	if len(d.timelines) > 0 {
		doc["_WARNING"] = "WAL information is inaccurate due to multiple timelines interacting with this backup"
	}
	return doc
}

func (d *backupDetails) catalogJSON() map[string]any {
	doc := map[string]any{
		"retention_policy": d.retention(),
		"previous_backup":  d.neighbour(d.list.Previous(d.b.ID, catalog.Usable...), "- (this is the oldest base backup)"),
		"next_backup":      d.neighbour(d.list.Next(d.b.ID, catalog.Usable...), "- (this is the latest base backup)"),
	}
	if d.b.IsIncremental() {
		chain, _ := d.list.Chain(d.b)
		doc["root_backup_id"], doc["parent_backup_id"], doc["chain_size"] = chain[0].ID, d.b.ParentID, len(chain)
	}
	if d.b.Mode == catalog.ModePostgres {
		doc["children_backup_ids"] = nil
		if len(d.b.ChildrenIDs) > 0 {
			doc["children_backup_ids"] = d.b.ChildrenIDs
		}
	}
	return doc
}
