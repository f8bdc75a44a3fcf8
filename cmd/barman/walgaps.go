package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/check"
	"github.com/barman-go/barman/core/maintenance"
	"github.com/barman-go/barman/core/report"
	"github.com/barman-go/barman/core/retention"
	"github.com/barman-go/barman/core/wal"
)

func newWALGapsCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "wal-gaps SERVER",
		Short: "Name every WAL file that a recovery would miss",
		Long: `Name every WAL file that a backup needs and the archive does not have: between the first file of the oldest backup that the
retention policy retains and the newest one of each timeline. Of a backup that is kept as standalone only its own files are
needed. Files that wait in the incoming or the streaming directory are not missing.

It reads the index of the archive (SERVER-xlog.db) and looks at no file; after somebody has removed files by hand, run
rebuild-xlogdb first.

Exit code 1: files are missing.`,
		Example: "  barman wal-gaps main\n  barman -f json wal-gaps main",
		Args:    usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.oneServer(args[0], showAll)
			if s == nil {
				return err
			}
			keeper, err := s.keeper()
			if err != nil {
				return err
			}
			gaps, err := s.walGaps(cmd.Context(), keeper)
			if err != nil {
				return err
			}
			a.out.Result(walGaps{s.Name, gaps})
			if len(gaps) > 0 {
				a.out.SetExit(report.ExitError)
			}
			return nil
		},
	}
	completeServers(a, cmd)
	return cmd
}

// walGaps finds the WAL that is missing.
func (s *server) walGaps(ctx context.Context, keeper *maintenance.Keeper) ([]catalog.WALGap, error) {
	if found, err := s.hasArchive(); err != nil || !found {
		return nil, err
	}
	gaps, err := s.findGaps(ctx, keeper)
	if err == nil && len(gaps) > 0 {
		// What was read one after the other may not belong together: a backup can have been deleted meanwhile.
		gaps, err = s.findGaps(ctx, keeper)
	}
	return gaps, err
}

func (s *server) findGaps(ctx context.Context, keeper *maintenance.Keeper) ([]catalog.WALGap, error) {
	list, err := s.catalog.List()
	if err != nil {
		return nil, err
	}
	keeps, err := s.catalog.Keeps()
	if err != nil {
		return nil, err
	}
	verdicts, err := keeper.Verdicts(list, keeps)
	if err != nil {
		return nil, err
	}
	histories, err := s.histories(ctx)
	if err != nil {
		return nil, err
	}
	retained := func(b *catalog.BackupInfo) bool { return verdicts.Of(b.ID).Label != retention.Obsolete }
	needs := list.WALNeeds(keeps, retained, histories)
	// Before the index: what waits now is archived later, and would be in neither of the two the other way round.
	waiting, err := waitingSegments(s.layout.Incoming, s.layout.Streaming)
	if err != nil {
		return nil, err
	}
	gaps, bad, err := s.index().Gaps(ctx, needs, waiting)
	for _, line := range bad {
		s.log.Warn("line of the WAL index", "server", s.Name, "error", line)
	}
	return gaps, err
}

// histories are those of the archive. One that cannot be read is left out, and the log says so: the timelines still have
// their own WAL.
func (s *server) histories(ctx context.Context) ([]wal.History, error) {
	paths, err := filepath.Glob(filepath.Join(s.layout.WALs, "????????.history"))
	if err != nil {
		return nil, err
	}
	var histories []wal.History
	for _, path := range paths {
		name, err := wal.ParseFileName(filepath.Base(path))
		if err != nil {
			continue
		}
		history, err := s.history(ctx, path, name.Timeline())
		if err != nil {
			s.log.Warn("timeline history cannot be read", "server", s.Name, "file", path, "error", err)
			continue
		}
		histories = append(histories, history)
	}
	return histories, nil
}

// waitingSegments are the complete segments in directories from which WAL is archived; a missing directory has none.
func waitingSegments(dirs ...string) (waiting []wal.Segment, err error) {
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			if segment, err := wal.ParseSegment(e.Name()); err == nil {
				waiting = append(waiting, segment)
			}
		}
	}
	return waiting, nil
}

// checkGaps says for `barman check` how much WAL is missing. The keeper is made at once: probes run at the same time.
func (s *server) checkGaps() func(context.Context) (check.Gaps, error) {
	keeper, err := s.keeper()
	return func(ctx context.Context) (found check.Gaps, _ error) {
		if err != nil {
			return found, err
		}
		gaps, err := s.walGaps(ctx, keeper)
		for _, gap := range gaps {
			found.Files += gap.Count
		}
		if len(gaps) > 0 {
			found.First, found.Backup = gaps[0].First.String(), gaps[0].Backup
		}
		return found, err
	}
}

// checkClock says for `barman check` why the retention policy does not trust the clock.
func (s *server) checkClock() func(context.Context) (string, error) {
	keeper, err := s.keeper()
	return func(context.Context) (string, error) {
		if err != nil {
			return "", err
		}
		list, err := s.catalog.List()
		if err != nil {
			return "", err
		}
		verdicts, err := keeper.Verdicts(list, nil)
		if err != nil {
			return "", err
		}
		return verdicts.Held, nil
	}
}

// walGaps is the output of wal-gaps.
type walGaps struct {
	server string
	gaps   []catalog.WALGap
}

func (g walGaps) Console(p *report.Printer) {
	if len(g.gaps) == 0 {
		p.Line("No WAL file is missing on server %s.", g.server)
		return
	}
	p.Line("Missing WAL files on server %s:", g.server)
	for _, gap := range g.gaps {
		for _, segment := range gap.Segments() {
			p.Line("\t%s (needed by backup %s)", segment, gap.Backup)
		}
	}
}

func (g walGaps) JSON() map[string]any {
	gaps := []any{}
	for _, gap := range g.gaps {
		names := []any{}
		for _, segment := range gap.Segments() {
			names = append(names, segment.String())
		}
		gaps = append(gaps, map[string]any{"backup_id": gap.Backup, "wals": names, "count": gap.Count})
	}
	return map[string]any{g.server: map[string]any{"gaps": gaps}}
}
