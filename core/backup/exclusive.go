package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/postgres"
	"github.com/barman-go/barman/core/report"
)

// exclusive is a backup that belongs to the server: its backup_label lies in the data directory, where it is copied like any
// other file, and it stays open until somebody ends it.
type exclusive struct {
	*session
	pg *postgres.Exclusive
}

func (e *exclusive) start(ctx context.Context, label string, fast bool) (_ postgres.StartPoint, err error) {
	if e.pg, err = e.conn.StartExclusive(ctx, label, fast); err != nil {
		return postgres.StartPoint{}, err
	}
	return e.pg.Start(), nil
}

func (e *exclusive) guard(ctx context.Context) (context.Context, func()) {
	return e.pg.Keepalive(ctx, e.Keepalive)
}

// finish needs no WAL switch: PostgreSQL makes one, and waits until everything is archived.
func (e *exclusive) finish(ctx context.Context) (postgres.StopPoint, error) {
	if err := e.checkCopiedLabel(); err != nil {
		return postgres.StopPoint{}, failed(actionLabel, err)
	}
	stop, err := e.pg.Stop(ctx)
	return stop, failed(actionStopExclusive, err)
}

// checkCopiedLabel makes sure that the copy has this backup's label: a restore without it would start from the wrong
// checkpoint, and be corrupt without a sign.
func (e *exclusive) checkCopiedLabel() error {
	text, err := os.ReadFile(filepath.Join(e.Catalog.Layout.DataPath(e.info.ID), labelFile))
	if err != nil {
		return fmt.Errorf("the copy has no backup_label: %w", err)
	}
	label, err := ParseLabel(string(text))
	if err != nil {
		return fmt.Errorf("the backup_label that was copied: %w", err)
	}
	if label.StartLSN != e.info.BeginLSN || label.Name != e.label() {
		return fmt.Errorf("the backup_label that was copied is that of another backup: %q, which starts at %s", label.Name, label.StartLSN)
	}
	e.info.BackupLabel = string(text)
	return nil
}

func (e *exclusive) abort(ctx context.Context) {
	if err := e.pg.Abort(ctx); err != nil {
		e.Out.Error("%s", err)
	}
}

// endLeftover ends an exclusive backup that a process of this server has left open when it was killed. Its label proves whose
// it is: it names an entry of this catalog that was never completed, and nobody else can be taking it, because the caller
// holds the server's backup lock. Anybody else's is left alone, and keeps an exclusive backup from starting.
func (s *session) endLeftover(ctx context.Context) error {
	since, err := s.conn.ExclusiveSince(ctx)
	if err != nil || since.IsZero() {
		return err
	}
	file, err := s.Transfer.ReadFile(ctx, s.Remote, filepath.Join(s.info.PGData, labelFile), maxLabel)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // ended in this moment
	}
	if err != nil {
		return fmt.Errorf("PostgreSQL is in backup mode since %s, and its backup_label cannot be read: %w", report.Timestamp(since), err)
	}
	label, err := ParseLabel(string(file.Content))
	if err != nil {
		return err
	}
	if b := s.abandoned(label); b != nil {
		s.Out.Warning("Backup %s was interrupted and has left PostgreSQL in backup mode since %s. It is ended now.", b.ID, report.Timestamp(since))
		return s.conn.EndExclusive(ctx, since)
	}
	if !s.Exclusive {
		return nil
	}
	return fmt.Errorf("PostgreSQL is in backup mode since %s, for a backup that is not of this server (%q). "+
		"If nobody is taking it any more, end it with SELECT pg_stop_backup()", report.Timestamp(since), label.Name)
}

// abandoned is the entry of this catalog that a label belongs to, nil when there is none.
func (s *session) abandoned(label Label) *catalog.BackupInfo {
	id, ok := strings.CutPrefix(label.Name, labelPrefix+s.Server+" ")
	if !ok || !catalog.ValidID(id) || id == s.info.ID {
		return nil
	}
	b, err := s.Catalog.Load(id)
	if err != nil || b.Mode != catalog.ModeRsyncExclusive || b.Status.In(catalog.Usable...) {
		return nil
	}
	return b
}
