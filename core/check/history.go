package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/report"
)

// history is what the catalog tells about backups and their WAL.
type history struct {
	backups *catalog.Backups
	// last is the newest usable backup; nil when there is none.
	last *catalog.BackupInfo
	// archived tells that the index lists at least one file.
	archived bool
	// newest is the time of the newest segment of the last backup, zero when none is archived; size are the bytes in the archive
	// of the segments after it.
	newest time.Time
	size   int64
	// rate is the number of segments per second since the last backup; 0 when not known.
	rate float64
	// badLines counts the lines of the index that cannot be understood.
	badLines int
}

func (c *Checker) readHistory(ctx context.Context) (*history, error) {
	list, err := c.Catalog.List()
	if err != nil {
		return nil, err
	}
	h := &history{backups: list, last: list.Last(catalog.Usable...)}
	info, err := os.Stat(c.Layout.WALIndexPath())
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return h, nil // nothing was ever archived
	}
	if err != nil {
		return nil, err
	}
	h.archived = true
	if h.last == nil {
		return h, nil
	}
	span, ok := list.WALSpan(h.last)
	if !ok {
		return h, nil
	}
	stats, bad, err := c.Index.Sum(ctx, []catalog.WALSpan{span})
	if err != nil {
		return nil, err
	}
	h.badLines = len(bad)
	s := stats[span.ID]
	h.newest, h.size, h.rate = s.Newest, s.Size, s.Rate
	return h, nil
}

// walArchive adds the row of an archive into which nothing has ever come.
func (c *Checker) walArchive(r *rows, p *probes) {
	c.archiveIsEmpty(r, p)
	c.queues(r, p)
}

func (c *Checker) archiveIsEmpty(r *rows, p *probes) {
	h, err := p.history.wait()
	if err != nil || h.archived || h.backups.First(catalog.StatusWaitingForWALs) != nil {
		return // an error has its own row
	}
	if found, err := p.waiting.wait(); err != nil || found.incoming.wal || found.streaming.wal {
		return
	}
	const text = "please make sure WAL shipping is setup"
	switch {
	case c.Passive:
		r.fail("WAL archive", fmt.Sprintf("%s on the primary node, and run 'barman cron' here: no WAL of '%s' has been copied yet",
			text, c.Server))
	case c.ships(p):
		r.fail("WAL archive", fmt.Sprintf("%s: it looks right, but no WAL has arrived yet; run 'barman switch-wal --force --archive %s'",
			text, c.Server))
	default:
		r.fail("WAL archive", text)
	}
}

// ships tells whether the server is set up to send WAL and does not fail to.
func (c *Checker) ships(p *probes) bool {
	if facts, ok := known(p.sql); ok && c.Archiver && archiveModeOn(facts) && archives(facts) {
		if a := facts.Archiver; a != nil && a.IsArchiving {
			return true
		}
	}
	found, _ := known(p.receiver)
	return c.StreamingArchiver && found.problem == ""
}

// policies adds the rows about the age and size of backups and WAL.
func (c *Checker) policies(r *rows, p *probes) {
	r.test("retention policy settings", !c.Policy.BadRetention, "see log")
	h, err := p.history.wait()
	if err != nil {
		r.failed("backup catalog", err)
		return
	}
	if n := len(h.backups.Unreadable); n > 0 {
		first := h.backups.Unreadable[0]
		r.fail(labelUnreadable, fmt.Sprintf("there are %d backups that cannot be read: %s; restore the file from a copy, or remove it",
			n, hint(first.Err)))
	}
	now := c.Now()
	c.backupAge(r, h, now)
	c.backupSize(r, h)
	if c.Encryption != "" {
		r.fail("encryption", fmt.Sprintf("encryption = %s is not supported yet; remove the option", c.Encryption))
	}
	c.walAge(r, h, now)
	r.add(Row{Label: LabelWALSize, OK: true, Hint: report.Size(h.size), Bytes: &h.size})
	if h.badLines > 0 {
		r.fail(labelIndex, fmt.Sprintf("%d lines of %s cannot be understood; run 'barman rebuild-xlogdb %s'",
			h.badLines, c.Layout.WALIndexPath(), c.Server))
	}
}

func (c *Checker) backupAge(r *rows, h *history, now time.Time) {
	limit := c.Policy.BackupMaximumAge
	if limit == nil {
		r.ok(labelMaximumAge, "no last_backup_maximum_age provided")
		return
	}
	ok, age := false, "No available backups"
	if h.last != nil {
		d := now.Sub(h.last.EndTime)
		ok, age = d <= *limit, report.Duration(d)
	}
	r.add(Row{Label: labelMaximumAge, OK: ok, Hint: fmt.Sprintf("interval provided: %s, latest backup age: %s", report.Duration(*limit), age)})
}

func (c *Checker) backupSize(r *rows, h *history) {
	var size int64
	if h.last != nil {
		size = h.last.Size.N
	}
	row := Row{Label: LabelMinimumSize, OK: true, Hint: report.Size(size), Bytes: &size}
	if limit := c.Policy.BackupMinimumSize; limit != nil {
		relation := ">"
		if row.OK = size >= *limit; !row.OK {
			relation = "<"
		}
		row.Hint = fmt.Sprintf("last backup size %s %s %s minimum", report.Size(size), relation, report.Size(*limit))
	}
	r.add(row)
}

func (c *Checker) walAge(r *rows, h *history, now time.Time) {
	limit := c.Policy.WALMaximumAge
	switch {
	case limit == nil:
		r.ok(labelWALMaximumAge, "no last_wal_maximum_age provided")
	case h.newest.IsZero():
		r.fail(labelWALMaximumAge, "No WAL files archived for last backup")
	default:
		age := now.Sub(h.newest)
		r.add(Row{
			Label: labelWALMaximumAge, OK: age <= *limit,
			Hint: fmt.Sprintf("interval provided: %s, latest wal age: %s", report.Duration(*limit), report.Duration(age)),
		})
	}
}

// localSetup adds the rows of the directories and of the policies.
func (c *Checker) localSetup(r *rows, p *probes) {
	if p.directories != nil {
		if _, err := p.directories.wait(); err != nil {
			r.failed("directories", err)
		} else {
			r.ok("directories", "")
		}
	}
	c.policies(r, p)
	c.gaps(r, p)
	if problem, err := waitIf(p.clock); err != nil {
		r.failed(labelClock, err)
	} else if problem != "" {
		r.fail(labelClock, "no backup expires now, because "+problem)
	}
}

// gaps adds the row of WAL that a recovery would miss.
func (c *Checker) gaps(r *rows, p *probes) {
	found, err := waitIf(p.gaps)
	switch {
	case err != nil:
		r.failed(labelGaps, err)
	case found.Files > 0:
		r.fail(labelGaps, fmt.Sprintf("%d WAL files that backups need are not in the archive, the first is %s, needed by backup %s: "+
			"no recovery gets past it; 'barman wal-gaps %s' names all; put them into the incoming directory if they exist anywhere, "+
			"and take a new backup", found.Files, found.First, found.Backup, c.Server))
	}
}

// backups adds the rows of the compression and of what the catalog holds.
func (c *Checker) backups(r *rows, p *probes) {
	if _, err := waitIf(p.compressor); err != nil {
		r.failed("compression settings", err)
	} else {
		r.ok("compression settings", "")
	}
	h, err := p.history.wait()
	if err != nil {
		return // the row of the catalog says so
	}
	failed := len(h.backups.With(catalog.StatusFailed))
	r.add(Row{Label: labelFailedBackups, OK: failed == 0, Hint: fmt.Sprintf("there are %d failed backups", failed)})
	full := 0
	for _, b := range h.backups.With(catalog.StatusDone) {
		if !b.IsIncremental() {
			full++
		}
	}
	r.add(Row{
		Label: labelMinimumRedundancy, OK: full >= c.Policy.MinimumRedundancy,
		Hint: fmt.Sprintf("have %d non-incremental backups, expected at least %d", full, c.Policy.MinimumRedundancy),
	})
}
