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

// backupDetails is the output of show-backup.
type backupDetails struct {
	server    string
	b         *catalog.BackupInfo
	list      *catalog.Backups
	enforced  bool
	verdict   retention.Verdict
	wal       *catalog.WALStats
	timelines []wal.TimelineID
}

// table prints rows of one layout.
type table struct {
	p *report.Printer
}

func (t table) section(title string) { t.p.Line("\n  %s:", title) }

func (t table) top(label string, value any) { t.p.Line("  %-23s: %v", label, value) }

func (t table) row(label string, value any) { t.p.Line("    %-21s: %v", label, value) }

// rowIf prints a row whose value is known.
func (t table) rowIf(known bool, label string, value any) {
	if known {
		t.row(label, value)
	}
}

func (d *backupDetails) Console(p *report.Printer) {
	b, t := d.b, table{p}
	p.Line("Backup %s:", b.ID)
	if b.BackupName != "" {
		t.top("Backup Name", b.BackupName)
	}
	t.top("Server Name", d.server)
	if b.SystemID != "" {
		t.top("System Id", b.SystemID)
	}
	t.top("Status", b.Status)
	if !b.Status.In(catalog.Usable...) {
		d.serverInformation(t)
		p.Line("")
		if b.Error != "" {
			t.top("Error", b.Error)
		}
		return
	}
	t.top("PostgreSQL Version", b.Version)
	t.top("PGDATA directory", b.PGData)
	if b.ClusterSize.Valid {
		t.top("Estimated Cluster Size", report.Size(b.ClusterSize.N))
	}
	d.serverInformation(t)
	if len(b.Tablespaces) > 0 {
		t.section("Tablespaces")
		for _, ts := range b.Tablespaces {
			t.row(ts.Name, fmt.Sprintf("%s (oid: %d)", ts.Location, ts.OID))
		}
	}
	d.baseBackup(t)
	d.walInformation(t)
	d.catalogInformation(t)
}

func (d *backupDetails) serverInformation(t table) {
	if d.b.DataChecksums == "" && d.b.SummarizeWAL == "" {
		return
	}
	t.section("Server information")
	t.rowIf(d.b.DataChecksums != "", "Checksums", d.b.DataChecksums)
	t.rowIf(d.b.SummarizeWAL != "", "WAL summarizer", d.b.SummarizeWAL)
}

func (d *backupDetails) baseBackup(t table) {
	b := d.b
	t.section("Base backup information")
	t.row("Backup Method", b.Mode)
	t.rowIf(b.Encryption != "", "Encryption", b.Encryption)
	t.rowIf(b.Mode == catalog.ModePostgres, "Backup Type", b.Type())
	t.row("Backup Size", fmt.Sprintf("%s (%s with WALs)", report.Size(b.DeduplicatedSize.N), report.Size(b.DeduplicatedSize.N+d.wal.RequiredSize)))
	t.rowIf(b.Compression != "", "Backup Compression", b.Compression)
	t.row("WAL Size", report.Size(d.wal.RequiredSize))
	if saved, ratio, ok := d.saved(); ok {
		t.row("Resources saved", fmt.Sprintf("%s (%s)", report.Size(saved), report.Percent(ratio)))
	}
	t.row("Timeline", uint32(b.Timeline))
	t.row("Begin WAL", b.BeginWAL)
	t.row("End WAL", b.EndWAL)
	t.row("Number of WALs", d.wal.RequiredCount)
	ratio := catalog.CompressionRatio(d.wal.RequiredCount, d.wal.RequiredSize, b.SegmentSize)
	t.rowIf(ratio > 0, "WAL compression ratio", report.Percent(ratio))
	t.row("Begin time", report.Timestamp(b.BeginTime))
	t.row("End time", report.Timestamp(b.EndTime))
	d.copyTime(t)
	t.row("Begin Offset", b.BeginOffset.N)
	t.row("End Offset", b.EndOffset.N)
	t.row("Begin LSN", b.BeginLSN)
	t.row("End LSN", b.EndLSN)
}

// saved is what sharing files, or copying changed blocks only, has saved: the deduplication ratio, applied to the size
// that the cluster had.
func (d *backupDetails) saved() (bytes int64, ratio float64, ok bool) {
	if t := d.b.Type(); t != catalog.TypeRsync && t != catalog.TypeIncremental {
		return 0, 0, false
	}
	whole := d.b.Size
	if d.b.ClusterSize.Valid {
		whole = d.b.ClusterSize
	}
	ratio = d.b.DeduplicationRatio()
	return int64(float64(whole.N) * ratio), ratio, true
}

func (d *backupDetails) copyTime(t table) {
	s := d.b.CopyStats
	if s.IsZero() {
		return
	}
	text := report.Duration(floatSeconds(s.CopyTime))
	if s.AnalysisTime >= 1 {
		text += " + " + report.Duration(floatSeconds(s.AnalysisTime)) + " startup"
	}
	t.row("Copy time", text)
	rate := report.SizeFloat(d.throughput()) + "/s"
	if s.NumberOfWorkers > 1 {
		rate += fmt.Sprintf(" (%d jobs)", s.NumberOfWorkers)
	}
	t.row("Estimated throughput", rate)
}

func (d *backupDetails) throughput() float64 {
	if d.b.CopyStats.CopyTime <= 0 {
		return float64(d.b.DeduplicatedSize.N)
	}
	return float64(d.b.DeduplicatedSize.N) / d.b.CopyStats.CopyTime
}

func floatSeconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func (d *backupDetails) walInformation(t table) {
	w := d.wal
	t.section("WAL information")
	t.row("Number of files", w.Count)
	t.row("Disk usage", report.Size(w.Size))
	t.rowIf(w.Rate > 0, "WAL rate", fmt.Sprintf("%.2f/hour", w.Rate*3600))
	ratio := catalog.CompressionRatio(w.Count, w.Size, d.b.SegmentSize)
	t.rowIf(ratio > 0, "Compression ratio", report.Percent(ratio))
	t.row("Last available", orNone(w.Last))
	t.rowIf(len(d.timelines) > 0, "Reachable timelines", strings.Join(d.timelineNames(), ", "))
}

func orNone(s string) string {
	if s == "" {
		return "None"
	}
	return s
}

func (d *backupDetails) timelineNames() []string {
	names := []string{}
	for _, tli := range d.timelines {
		names = append(names, fmt.Sprint(uint32(tli)))
	}
	return names
}

func (d *backupDetails) catalogInformation(t table) {
	t.section("Catalog information")
	t.row("Retention Policy", d.retention())
	t.row("Previous Backup", d.neighbour(d.list.Previous(d.b.ID, catalog.Usable...), "- (this is the oldest base backup)"))
	t.row("Next Backup", d.neighbour(d.list.Next(d.b.ID, catalog.Usable...), "- (this is the latest base backup)"))
	if d.b.IsIncremental() {
		chain, _ := d.list.Chain(d.b)
		t.row("Root Backup", chain[0].ID)
		t.row("Parent Backup", d.b.ParentID)
		t.row("Backup chain size", len(chain))
	}
	t.rowIf(len(d.b.ChildrenIDs) > 0, "Children Backup(s)", strings.Join(d.b.ChildrenIDs, ","))
	if len(d.timelines) > 0 {
		t.p.Line("\n    WARNING: WAL information is inaccurate due to multiple timelines interacting with this backup")
	}
}

func (d *backupDetails) retention() string {
	if !d.enforced {
		return "not enforced"
	}
	return string(d.verdict.Label)
}

func (d *backupDetails) neighbour(b *catalog.BackupInfo, none string) string {
	if b == nil {
		return none
	}
	return b.ID
}
