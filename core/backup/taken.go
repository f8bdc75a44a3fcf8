package backup

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/postgres"
	"github.com/barman-go/barman/core/report"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/sdk/progress"
	"github.com/barman-go/barman/sdk/transfer"
)

// takeBackup lets the plugin take the whole backup. The start is noted before it begins and corrected from its label;
// the end is what the tool tells, or where the server is after it ended: later than the backup needs, never earlier.
func (s *session) takeBackup(ctx context.Context) error {
	if err := s.noteStart(ctx); err != nil {
		return failed(actionIssue, err)
	}
	res, err := s.runTool(ctx)
	if err != nil {
		return failed(actionCopy, err)
	}
	s.info.CopyStats = catalog.CopyStats{CopyTime: res.Copy.Seconds(), TotalTime: res.Copy.Seconds()}
	s.warnConfigurationOutside()
	s.Out.Info("Copy done (time: %s)", report.Duration(s.Now().Sub(s.copyStart)))
	s.Out.Info("Finalising the backup.")
	return failed(actionStop, s.noteResult(ctx, res))
}

func (s *session) noteStart(ctx context.Context) error {
	p, err := s.conn.Position(ctx)
	if err != nil {
		return err
	}
	b := s.info
	b.BeginTime, b.BeginLSN = p.Time, p.LSN
	if p.WAL != "" {
		seg, err := wal.ParseSegment(p.WAL)
		if err != nil {
			return err
		}
		b.BeginWAL, b.BeginOffset, b.Timeline = seg, catalog.Int(int64(p.Offset)), seg.Timeline
	}
	return s.started()
}

func (s *session) runTool(ctx context.Context) (transfer.TakeBackupResult, error) {
	b, layout := s.info, s.Catalog.Layout
	s.copyStart = s.Now()
	tool := "pg_basebackup"
	if s.Method != "postgres" {
		tool = s.Method
	}
	s.Out.Info("Starting backup copy via %s for %s", tool, b.ID)
	req := transfer.TakeBackupRequest{
		Op: b.ID, BackupID: b.ID, Destination: filepath.Join(layout.BackupPath(b.ID), "data"),
		ServerVersion: b.Version, ImmediateCheckpoint: s.ImmediateCheckpoint, BandwidthLimit: s.BandwidthLimit,
		Compression: s.Compression, Retry: s.Retry,
	}
	streaming := s.Streaming.Streaming().WithDefault("application_name", s.StreamingName)
	req.Password = streaming.Get("password")
	// Without the password the text is safe to stand in a tool's arguments.
	req.Conninfo, _ = streaming.ForTool(s.StreamingName)
	if b.ParentID != "" {
		req.IncrementalManifest = filepath.Join(layout.DataPath(b.ParentID), "backup_manifest")
	}
	for _, ts := range b.Tablespaces {
		req.Tablespaces = append(req.Tablespaces, transfer.Tablespace{
			OID: ts.OID, Name: ts.Name, Location: ts.Location,
			Destination: filepath.Join(layout.BackupPath(b.ID), fmt.Sprint(ts.OID)),
		})
	}
	return s.Transfer.TakeBackup(ctx, req, backupReporter{s, ctx})
}

// backupReporter passes on progress and answers a tool that waits for WAL of an idle primary.
type backupReporter struct {
	*session
	ctx context.Context //nolint:containedctx // lives exactly as long as the one call it is made for
}

// Progress passes on how far the tool is.
func (r backupReporter) Progress(p progress.Progress) { r.estimated().Progress(p) }

// WaitingForWAL switches WAL on the primary of the standby that is being backed up.
func (r backupReporter) WaitingForWAL() {
	if r.Primary == nil {
		return
	}
	primary, err := postgres.Connect(r.ctx, *r.Primary, "barman")
	if err != nil {
		r.Log.Warn("cannot switch WAL on the primary", "server", r.Server, "error", err)
		return
	}
	defer primary.Close()
	if _, err := primary.ForceSwitchWAL(r.ctx); err != nil {
		r.Log.Warn("cannot switch WAL on the primary", "server", r.Server, "error", err)
	}
}

func (s *session) noteResult(ctx context.Context, res transfer.TakeBackupResult) error {
	label, err := ParseLabel(res.BackupLabel)
	if err != nil {
		return err
	}
	b := s.info
	b.BackupLabel = res.BackupLabel
	b.BeginLSN, b.BeginWAL, b.Timeline = label.StartLSN, label.StartWAL, label.StartWAL.Timeline
	b.BeginOffset = catalog.Int(int64(label.StartLSN.Offset(b.SegmentSize)))
	if s.Compression != nil && s.Compression.Format != "plain" {
		b.Compression = s.Compression.Algorithm
	}
	p, err := s.conn.Position(ctx)
	if err != nil {
		return err
	}
	b.EndTime, b.EndLSN = p.Time, p.LSN
	if res.EndLSN != "" {
		if b.EndLSN, err = wal.ParseLSN(res.EndLSN); err != nil {
			return fmt.Errorf("end of the backup as the tool tells it: %w", err)
		}
	}
	b.EndWAL = wal.SegmentEndingAt(b.Timeline, b.EndLSN, b.SegmentSize)
	b.EndOffset = catalog.Int(int64(b.EndLSN.Offset(b.SegmentSize)))
	s.closeSegment(ctx, b.EndWAL)
	return s.Catalog.Save(b)
}

// warnConfigurationOutside tells about configuration files that a self-contained backup never holds.
func (s *session) warnConfigurationOutside() {
	var outside []string
	for _, f := range append([]string{s.info.ConfigFile, s.info.HBAFile, s.info.IdentFile}, s.info.IncludedFiles...) {
		if _, ok := inside(s.info.PGData, f); f != "" && !ok {
			outside = append(outside, f)
		}
	}
	s.warnNotCopied(outside)
}
