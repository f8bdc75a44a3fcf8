package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/lock"
	"github.com/barman-go/barman/core/maintenance"
	"github.com/barman-go/barman/core/wal"
)

func backupCommands(a *app) []*cobra.Command {
	return []*cobra.Command{
		newBackupCommand(a), newListBackupsCommand(a), newShowBackupCommand(a), newListFilesCommand(a),
		newRecoverCommand(a), newDeleteCommand(a), newKeepCommand(a), newCheckBackupCommand(a),
		newVerifyBackupCommand(a), newGenerateManifestCommand(a),
	}
}

func newListBackupsCommand(a *app) *cobra.Command {
	var minimal bool
	cmd := &cobra.Command{
		Use:     "list-backups [options] SERVER…",
		Aliases: []string{"list-backup"},
		Short:   "List the backups of a server, newest first",
		Example: "  barman list-backups main\n  barman -f json list-backups all",
		Args:    usage(cobra.MinimumNArgs(1)),
		RunE:    showEach(a, func(ctx context.Context, s *server) (*backupList, error) { return s.listBackups(ctx, minimal) }),
	}
	cmd.Flags().BoolVar(&minimal, "minimal", false, "print backup ids only")
	completeServers(a, cmd)
	return cmd
}

func (s *server) listBackups(ctx context.Context, minimal bool) (*backupList, error) {
	list, err := s.catalog.List()
	if err != nil {
		return nil, err
	}
	for _, u := range list.Unreadable {
		s.out.Error("backup %s of server %s cannot be read: %s", u.ID, s.Name, u.Err)
	}
	result := &backupList{server: s.Name, backups: list, minimal: minimal}
	if minimal || len(list.All) == 0 {
		return result, nil
	}
	if result.stats, err = s.walStats(ctx, list.WALSpans()); err != nil {
		return nil, err
	}
	keeper, err := s.keeper()
	if err != nil {
		return nil, err
	}
	keeps, err := s.catalog.Keeps()
	if err != nil {
		return nil, err
	}
	result.verdicts, err = keeper.Verdicts(list, keeps)
	return result, err
}

// walStats sums up the archived WAL of backups, in one pass over the index.
func (s *server) walStats(ctx context.Context, spans []catalog.WALSpan) (map[string]*catalog.WALStats, error) {
	if found, err := s.hasArchive(); err != nil || !found {
		stats, _ := catalog.SumWALs(catalog.WALLines{}, spans)
		return stats, err
	}
	stats, bad, err := s.index().Sum(ctx, spans)
	s.reportBadLines(bad)
	return stats, err
}

// hasArchive tells whether anything was ever archived: then there is an index, or it is made from what lies there.
func (s *server) hasArchive() (bool, error) {
	archive, err := os.ReadDir(s.layout.WALs)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	found, err := fileExists(s.layout.WALIndexPath())
	return found || len(archive) > 0, err
}

func (s *server) reportBadLines(bad []*catalog.WALLineError) {
	for _, line := range bad {
		s.out.Warning("%s\nHINT: Please run \"barman rebuild-xlogdb %s\" to solve this issue", line, s.Name)
	}
}

func newShowBackupCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show-backup SERVER BACKUP_ID",
		Aliases: []string{"show-backups"},
		Short:   "Show everything that is known about a backup",
		Example: "  barman show-backup main latest",
		Args:    usage(cobra.ExactArgs(2)),
		RunE: a.oneBackup(showAll, func(ctx context.Context, s *server, b *catalog.BackupInfo, list *catalog.Backups) error {
			result, err := s.showBackup(ctx, b, list)
			if err == nil {
				a.out.Result(result)
			}
			return err
		}),
	}
	completeBackups(a, cmd)
	return cmd
}

func (s *server) showBackup(ctx context.Context, b *catalog.BackupInfo, list *catalog.Backups) (*backupDetails, error) {
	d := &backupDetails{server: s.Name, b: b, list: list}
	keeper, err := s.keeper()
	if err != nil {
		return nil, err
	}
	keeps, err := s.catalog.Keeps()
	if err != nil {
		return nil, err
	}
	d.enforced = s.RetentionPolicy != ""
	verdicts, err := keeper.Verdicts(list, keeps)
	if err != nil {
		return nil, err
	}
	d.verdict = verdicts.Of(b.ID)
	span, ok := list.WALSpan(b)
	if !ok {
		return d, nil
	}
	stats, err := s.walStats(ctx, []catalog.WALSpan{span})
	if err != nil {
		return nil, err
	}
	d.wal = stats[b.ID]
	d.timelines, err = s.childTimelines(ctx, b)
	return d, err
}

// childTimelines are the timelines that branched off the backup's own after it was taken.
func (s *server) childTimelines(ctx context.Context, b *catalog.BackupInfo) ([]wal.TimelineID, error) {
	histories, err := s.histories(ctx)
	if err != nil {
		return nil, err
	}
	var children []wal.TimelineID
	for _, history := range histories {
		if history.Timeline <= b.Timeline {
			continue
		}
		if at, ok := history.SwitchedAt(b.Timeline); ok && at >= b.EndLSN {
			children = append(children, history.Timeline)
		}
	}
	return children, nil
}

func (s *server) history(ctx context.Context, path string, tli wal.TimelineID) (wal.History, error) {
	plain, remove, err := s.codecs().Plain(ctx, path, os.TempDir())
	if err != nil {
		return wal.History{}, err
	}
	defer remove()
	f, err := os.Open(plain)
	if err != nil {
		return wal.History{}, err
	}
	defer f.Close() //nolint:errcheck // read only
	return wal.ParseHistory(tli, f)
}

func newListFilesCommand(a *app) *cobra.Command {
	var target string
	var empty bool
	cmd := &cobra.Command{
		Use:   "list-files [options] SERVER BACKUP_ID",
		Short: "List the files of a backup",
		Long: `List the files of a backup, one path per line:

  data        the files of the base backup
  standalone  and the WAL files without which it is not consistent
  wal         the WAL files from the backup to the next one, and all history files
  full        data and wal`,
		Example: "  barman list-files --target full main latest",
		Args:    usage(cobra.ExactArgs(2)),
		PreRunE: func(*cobra.Command, []string) error {
			if !oneOf(target, "data", "standalone", "wal", "full") {
				return usageError{fmt.Errorf("invalid choice %q for --target (choose from data, standalone, wal, full)", target)}
			}
			return nil
		},
		RunE: a.oneBackup(showAll, func(ctx context.Context, s *server, b *catalog.BackupInfo, list *catalog.Backups) error {
			return s.listFiles(ctx, b, list, target, empty)
		}),
	}
	cmd.Flags().StringVar(&target, "target", "standalone", "`WHICH` files: data, standalone, wal or full")
	cmd.Flags().BoolVar(&empty, "list-empty-directories", false, "also list empty directories")
	completeBackups(a, cmd)
	return cmd
}

func (s *server) listFiles(ctx context.Context, b *catalog.BackupInfo, list *catalog.Backups, target string, empty bool) error {
	if target != "wal" {
		if err := s.listData(b, empty); err != nil {
			return err
		}
	}
	switch target {
	case "standalone":
		segments, err := b.RequiredWALs()
		if err != nil {
			return err
		}
		for _, seg := range segments {
			s.out.Print("%s", s.layout.SegmentPath(seg))
		}
	case "wal", "full":
		return s.listWAL(ctx, b, list)
	}
	return nil
}

func (s *server) listData(b *catalog.BackupInfo, empty bool) error {
	return filepath.WalkDir(s.layout.BackupPath(b.ID), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !e.IsDir() {
			// The link to a tablespace is no file; the tablespace's own files are in a directory beside data.
			if target, err := os.Stat(path); err != nil || !target.IsDir() {
				s.out.Print("%s", path)
			}
			return nil
		}
		if empty {
			if entries, err := os.ReadDir(path); err == nil && len(entries) == 0 {
				s.out.Print("%s", path)
			}
		}
		return nil
	})
}

func (s *server) listWAL(ctx context.Context, b *catalog.BackupInfo, list *catalog.Backups) error {
	span, ok := list.WALSpan(b)
	if !ok {
		return nil
	}
	if found, err := s.hasArchive(); err != nil || !found {
		return err
	}
	lines, err := s.index().Read(ctx)
	if err != nil {
		return err
	}
	segments, histories, bad := catalog.CollectWALs(lines, span)
	s.reportBadLines(bad)
	for _, r := range append(segments, histories...) {
		if name, err := wal.ParseFileName(r.Name); err == nil {
			s.out.Print("%s", s.layout.WALPath(name))
		}
	}
	return nil
}

func newDeleteCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "delete SERVER BACKUP_ID",
		Short: "Delete a backup, and the WAL that nothing needs any more",
		Long: `Delete a backup with the incremental backups that depend on it, and the WAL files that no other backup needs. A
backup that is kept, or that minimum_redundancy needs, is refused.`,
		Example: "  barman delete main oldest",
		Args:    usage(cobra.ExactArgs(2)),
		RunE: a.oneBackup(onlyEnabled, func(ctx context.Context, s *server, b *catalog.BackupInfo, _ *catalog.Backups) error {
			return s.deleteBackup(ctx, b)
		}),
	}
	completeBackups(a, cmd)
	return cmd
}

func (s *server) deleteBackup(ctx context.Context, b *catalog.BackupInfo) error {
	l, err := s.lock(ctx, lock.ForServer(lock.Backup, s.Name))
	if errors.Is(err, lock.ErrBusy) {
		s.out.Error("Another process in running on server %s. Impossible to delete the backup. (%s)", s.Name, lock.By(err))
		return errReported
	}
	if err != nil {
		return err
	}
	defer l.Release() //nolint:errcheck // the lock ends with the process at the latest
	keeper, err := s.keeper()
	if err != nil {
		return err
	}
	err = keeper.Delete(ctx, b.ID)
	switch {
	case errors.Is(err, maintenance.ErrRefused):
		s.out.Error("Cannot delete backup (%s %s)", s.Name, b.ID)
		return errReported
	case errors.Is(err, lock.ErrBusy):
		s.out.Error("%s", maintenance.Busy(err, s.Name, b.ID))
		return errReported
	}
	return err
}

func newKeepCommand(a *app) *cobra.Command {
	var target string
	var status, release bool
	cmd := &cobra.Command{
		Use:   "keep [options] SERVER BACKUP_ID",
		Short: "Keep a backup whatever the retention policy says",
		Example: `  barman keep --target full main 20260110T100000
  barman keep --status main latest
  barman keep --release main 20260110T100000`,
		Args: usage(cobra.ExactArgs(2)),
		PreRunE: func(*cobra.Command, []string) error {
			if !status && !release && target == "" {
				a.out.Error("one of the arguments -r/--release -s/--status --target is required")
				return errReported
			}
			if !oneOf(target, "", "full", "standalone") {
				return usageError{fmt.Errorf("invalid choice %q for --target (choose from full, standalone)", target)}
			}
			return nil
		},
		RunE: a.oneBackup(normal, func(_ context.Context, s *server, b *catalog.BackupInfo, _ *catalog.Backups) error {
			return s.keep(b, target, status, release)
		}),
	}
	fl := cmd.Flags()
	fl.BoolVarP(&release, "release", "r", false, "let the retention policy decide again")
	fl.BoolVarP(&status, "status", "s", false, "print whether the backup is kept")
	fl.StringVar(&target, "target", "", "keep `WHAT`: full (with all WAL after it) or standalone")
	completeBackups(a, cmd)
	return cmd
}

func (s *server) keep(b *catalog.BackupInfo, target string, status, release bool) error {
	switch {
	case status:
		keep, err := s.catalog.KeepOf(b.ID)
		if err != nil {
			return err
		}
		s.out.Result(keepStatus{s.Name, string(keep)})
		return nil
	case release:
		return s.catalog.SetKeep(b.ID, catalog.KeepNone)
	case b.IsIncremental():
		s.out.Error("Unable to execute the keep command on backup %s: is an incremental backup.\n"+
			"Only full backups are eligible for the use of the keep command.", b.ID)
		return errReported
	case b.Status != catalog.StatusDone:
		s.out.Error("Cannot add keep to backup %s because it has status %s. Only backups with status DONE can be kept.", b.ID, b.Status)
		return errReported
	}
	return s.catalog.SetKeep(b.ID, catalog.Keep(target))
}

func newCheckBackupCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "check-backup SERVER BACKUP_ID",
		Short:   "Look whether the WAL of a backup is complete",
		Long:    "Move a backup between WAITING_FOR_WALS and DONE by the WAL that is archived. Silent when it succeeds.",
		Example: "  barman check-backup main latest",
		Args:    usage(cobra.ExactArgs(2)),
		RunE: a.oneBackup(normal, func(ctx context.Context, s *server, b *catalog.BackupInfo, _ *catalog.Backups) error {
			keeper, err := s.keeper()
			if err != nil {
				return err
			}
			if err := os.MkdirAll(s.LockDirectory, 0o755); err != nil { // may be missing in a fresh /run
				return err
			}
			_, err = keeper.CheckBackup(ctx, b.ID)
			if errors.Is(err, lock.ErrBusy) {
				a.out.Info("%s", maintenance.Busy(err, s.Name, b.ID))
				return nil
			}
			return err
		}),
	}
	completeBackups(a, cmd)
	return cmd
}
