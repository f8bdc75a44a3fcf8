package passive

import (
	"fmt"
	"strings"
	"time"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/catalog/pyliteral"
	"github.com/barman-go/barman/core/report"
	"github.com/barman-go/barman/core/wal"
)

// backupObject is a backup in an answer of sync-info: the keys of backup.info in their order, and three more. Two of them look odd and
// have to: the label is Python's literal of the label, and the children are one text.
func backupObject(b *catalog.BackupInfo) report.Object {
	o := report.Object{{Name: "backup_label", Value: nullable(labelLiteral(b.BackupLabel))}}
	add := func(name string, value any) { o = append(o, report.Field{Name: name, Value: value}) }
	if b.BackupName != "" {
		add("backup_name", b.BackupName)
	}
	add("begin_offset", number(b.BeginOffset))
	add("begin_time", ctime(b.BeginTime))
	add("begin_wal", segment(b.BeginWAL))
	add("begin_xlog", lsn(b.BeginLSN))
	add("children_backup_ids", nullable(strings.Join(b.ChildrenIDs, ",")))
	add("cluster_size", number(b.ClusterSize))
	add("compression", nullable(b.Compression))
	add("config_file", nullable(b.ConfigFile))
	if b.CopyStats.IsZero() {
		add("copy_stats", nil)
	} else {
		add("copy_stats", literalJSON(b.CopyStats.Dict()))
	}
	add("data_checksums", nullable(b.DataChecksums))
	add("deduplicated_size", number(b.DeduplicatedSize))
	if b.Encryption != "" {
		// Barman 3.13 fails on a key that it does not know; those that know it do not miss it.
		add("encryption", b.Encryption)
	}
	add("end_offset", number(b.EndOffset))
	add("end_time", ctime(b.EndTime))
	add("end_wal", segment(b.EndWAL))
	add("end_xlog", lsn(b.EndLSN))
	add("error", nullable(b.Error))
	add("hba_file", nullable(b.HBAFile))
	add("ident_file", nullable(b.IdentFile))
	if len(b.IncludedFiles) == 0 {
		add("included_files", nil)
	} else {
		add("included_files", b.IncludedFiles)
	}
	add("mode", nullable(string(b.Mode)))
	add("parent_backup_id", nullable(b.ParentID))
	add("pgdata", nullable(b.PGData))
	add("server_name", nullable(b.ServerName))
	add("size", number(b.Size))
	if b.SnapshotsInfo != nil {
		add("snapshots_info", literalJSON(b.SnapshotsInfo))
	}
	add("status", string(b.Status))
	add("summarize_wal", nullable(b.SummarizeWAL))
	add("systemid", nullable(b.SystemID))
	add("tablespaces", tablespaces(b.Tablespaces))
	add("timeline", positive(int64(b.Timeline)))
	add("version", positive(int64(b.Version)))
	add("xlog_segment_size", positive(int64(b.SegmentSize)))
	add("backup_id", b.ID)
	add("begin_time_iso", isoTime(b.BeginTime))
	add("end_time_iso", isoTime(b.EndTime))
	return o
}

func labelLiteral(label string) string {
	if label == "" {
		return ""
	}
	return pyliteral.Quote(label)
}

func nullable(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func number(n catalog.OptInt) any {
	if !n.Valid {
		return nil
	}
	return n.N
}

func positive(n int64) any {
	if n == 0 {
		return nil
	}
	return n
}

func segment(s wal.Segment) any {
	if s == (wal.Segment{}) {
		return nil
	}
	return s.String()
}

func lsn(l wal.LSN) any {
	if l == wal.InvalidLSN {
		return nil
	}
	return l.String()
}

// ctime has no zone: it is the clock of the zone that the backup was taken in.
func ctime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return report.CTime(t)
}

func isoTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return strings.Replace(catalog.FormatTime(t), " ", "T", 1)
}

func tablespaces(list []catalog.Tablespace) any {
	if len(list) == 0 {
		return nil
	}
	items := make([]any, 0, len(list))
	for _, t := range list {
		items = append(items, []any{t.Name, int64(t.OID), t.Location})
	}
	return items
}

// literalJSON is a value of backup.info as JSON.
func literalJSON(v any) any {
	switch v := v.(type) {
	case pyliteral.Dict:
		o := report.Object{}
		for _, pair := range v {
			o = append(o, report.Field{Name: fmt.Sprint(pair.Key), Value: literalJSON(pair.Value)})
		}
		return o
	case pyliteral.Tuple:
		return literalList(v)
	case []any:
		return literalList(v)
	}
	return v
}

func literalList(items []any) []any {
	list := make([]any, 0, len(items))
	for _, item := range items {
		list = append(list, literalJSON(item))
	}
	return list
}
