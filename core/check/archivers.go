package check

import (
	"fmt"

	"github.com/barman-go/barman/core/postgres"
	"github.com/barman-go/barman/core/wal"
)

// configuration adds the row of the mistakes in the server's configuration.
func (c *Checker) configuration(r *rows) {
	if len(c.Messages) > 0 {
		r.add(Row{Label: "configuration", Details: c.Messages})
	}
}

// identity adds the row that compares who the server says it is with who it was.
func (c *Checker) identity(r *rows, p *probes) {
	if c.Passive {
		c.coherence(r, nil, nil, "")
		return
	}
	c.coherence(r, p.sql, p.streaming, "")
}

func (c *Checker) coherence(r *rows, sql *answer[*Facts], streaming *answer[postgres.Identity], suffix string) {
	label := "systemid coherence" + suffix
	var id wal.SystemID
	if facts, ok := known(sql); ok {
		id = facts.SystemID
	}
	if identity, ok := known(streaming); ok {
		if id != 0 && id != identity.SystemID {
			r.fail(label, "is the streaming DSN targeting the same server of the PostgreSQL connection string?")
			return
		}
		id = identity.SystemID
	}
	if id == 0 {
		r.ok(label, "no system Id available")
		return
	}
	stored, found, err := c.Catalog.Identity()
	switch {
	case err != nil:
		r.failed(label, err)
	case !found:
		r.ok(label, "no system Id stored on disk")
	default:
		r.test(label, stored.SystemID == id.String(), fmt.Sprintf(
			"the system Id of the connected PostgreSQL server changed, stored in %q", c.Layout.IdentityPath()))
	}
}

// archivers adds the rows of the ways in which WAL comes: streaming first, then archive_command.
func (c *Checker) archivers(r *rows, p *probes) {
	facts, ok := known(p.sql)
	if c.StreamingArchiver {
		// The receiver is part of barman, so it is always there and speaks the protocol of every supported server. The labels
		// are those of the tool that Barman needs.
		r.ok("pg_receivexlog", "")
		r.test("pg_receivexlog compatible", ok, "PostgreSQL version: None, pg_receivexlog version: built-in")
		found, err := p.receiver.wait()
		if err != nil {
			r.failed("receive-wal running", err)
		} else {
			r.test("receive-wal running", found.problem == "", found.problem)
		}
	}
	if c.Archiver && ok && facts.ArchiveMode != "" {
		fileArchiver(r, facts)
	}
}

func archiveModeOn(facts *Facts) bool {
	return facts.ArchiveMode == "on" || facts.ArchiveMode == "always"
}

// archives tells whether the server does anything with finished segments; from PostgreSQL 15 that may be a library.
func archives(facts *Facts) bool {
	return facts.ArchiveCommand != "" && facts.ArchiveCommand != "(disabled)" || facts.ArchiveLibrary != ""
}

func fileArchiver(r *rows, facts *Facts) {
	r.test("archive_mode", archiveModeOn(facts), "please set it to 'on' or 'always'")
	if !archives(facts) {
		r.fail("archive_command", "please set it accordingly to documentation")
		return
	}
	r.ok("archive_command", "")
	const label = "continuous archiving"
	switch a := facts.Archiver; {
	case a == nil:
		r.fail(label, "the role of conninfo may not read pg_stat_archiver")
	case a.IsArchiving:
		r.ok(label, "")
	case a.LastFailedWAL != "" && archiveModeOn(facts):
		r.fail(label, fmt.Sprintf("PostgreSQL could not archive %s at %s; see its log, and run archive_command by hand",
			a.LastFailedWAL, a.LastFailedTime.Local().Format("2006-01-02 15:04:05")))
	default:
		r.fail(label, "archive_mode is off")
	}
}
