package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/report"
	"github.com/barman-go/barman/core/wal"
)

func newRebuildCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rebuild-xlogdb SERVER…",
		Short: "Write the index of archived WAL files anew",
		Long: `Write the index of archived WAL files (SERVER-xlog.db) anew from what lies in the archive. It takes the old one's place only
when it is complete. Files that do not belong into an archive are left out, and named in the log.`,
		Example: "  barman rebuild-xlogdb main",
		Args:    usage(cobra.MinimumNArgs(1)),
		RunE: a.eachServer(normal, func(ctx context.Context, s *server) error {
			a.out.Info("Rebuilding xlogdb for server %s", s.Name)
			done, err := s.index().Rebuild(ctx)
			if err != nil {
				return err
			}
			for _, file := range done.Skipped {
				s.log.Warn("left out of the WAL index", "server", s.Name, "file", file)
			}
			a.out.Info("Done rebuilding xlogdb for server %s (history: %d, backup_labels: %d, wal_file: %d)",
				s.Name, done.Histories, done.BackupLabels, done.Segments)
			return nil
		}),
	}
	completeServers(a, cmd)
	return cmd
}

func newCheckWALArchiveCommand(a *app) *cobra.Command {
	var timeline int
	cmd := &cobra.Command{
		Use:   "check-wal-archive [options] SERVER",
		Short: "Check that a new cluster may archive into a server's archive",
		Long: `Check that a server's archive is empty, or, with --timeline, that it has no file of that timeline or a newer one: that a new
cluster, or one that was recovered, will not mix its WAL with that of another.

Exit code 1: it has.`,
		Example: "  barman check-wal-archive main\n  barman check-wal-archive --timeline 2 main",
		Args:    usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.oneServer(args[0], normal)
			if s == nil {
				return err
			}
			// An index that is missing is made first: an archive is empty only when it has no files.
			lines, err := s.index().Read(cmd.Context())
			if err != nil {
				return err
			}
			found, bad := conflicting(lines, wal.TimelineID(timeline))
			s.reportBadLines(bad)
			result := archiveCheck{server: s.Name, timeline: timeline, found: found}
			a.out.Result(result)
			if problem := result.problem(); problem != "" {
				a.out.Error("WAL archive check failed for server %s: %s", s.Name, problem)
			}
			return nil
		},
	}
	positive(cmd.Flags(), &timeline, "timeline", "", "accept files of timelines before `N`")
	completeServers(a, cmd)
	return cmd
}

// conflicting counts the files that a cluster on a timeline must not find in its archive; timeline 0 is a new cluster, which
// must find none.
func conflicting(lines catalog.WALLines, timeline wal.TimelineID) (found int, bad []*catalog.WALLineError) {
	for line, err := range lines.All() {
		switch {
		case err != nil:
			bad = append(bad, err)
		case line.File.Timeline() >= timeline:
			found++
		}
	}
	return found, bad
}

// archiveCheck is the output of check-wal-archive.
type archiveCheck struct {
	server          string
	timeline, found int
}

// problem says what is wrong with the archive; empty when nothing is.
func (r archiveCheck) problem() string {
	switch {
	case r.found == 0:
		return ""
	case r.timeline == 0:
		return "Expected empty archive"
	}
	files := "files"
	if r.found == 1 {
		files = "file"
	}
	return fmt.Sprintf("Found %d %s in WAL archive equal to or newer than timeline %d", r.found, files, r.timeline)
}

func (r archiveCheck) passed() string {
	return fmt.Sprintf("WAL archive check for server %s passed", r.server)
}

func (r archiveCheck) Console(p *report.Printer) {
	if r.problem() == "" {
		p.Line("Server %s:", r.server)
		p.Line(" - %s", r.passed())
	}
}

func (r archiveCheck) JSON() map[string]any {
	if r.problem() == "" {
		return map[string]any{r.server: r.passed()}
	}
	return map[string]any{r.server: map[string]any{}}
}
