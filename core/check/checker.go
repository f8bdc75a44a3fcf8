package check

import (
	"context"
	"slices"
	"time"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/postgres"
	"github.com/barman-go/barman/sdk/transfer"
)

// Checker examines one server. A function that is nil means that the server has no such thing.
type Checker struct {
	Server string
	// Active, Disabled and Passive are the server's state; Messages are the mistakes in its configuration.
	Active, Disabled, Passive bool
	Messages                  []string

	Layout  catalog.Layout
	Catalog Catalog
	Index   Index
	// LockDir is barman_lock_directory.
	LockDir string

	// SQL asks the server of conninfo, Primary that of primary_conninfo, and Streaming that of streaming_conninfo.
	SQL, Primary func(context.Context) (*Facts, error)
	Streaming    func(context.Context) (postgres.Identity, error)
	// WALSQL and WALStreaming ask the server that WAL comes from, when that is another one than conninfo's.
	WALSQL       func(context.Context) (*Facts, error)
	WALStreaming func(context.Context) (postgres.Identity, error)
	// SlotName is the slot to look for, or empty.
	SlotName string

	// Method is backup_method; OpenTransfer starts its plugin, which gets the request with the server's version filled in.
	Method       string
	OpenTransfer func(context.Context) (Transfer, transfer.Mode, error)
	Request      transfer.CheckRequest
	// Exclusive means backup_options = exclusive_backup.
	Exclusive bool
	// PrimarySSH is primary_ssh_command of a passive server, PathPrefix where ssh is looked for before PATH.
	PrimarySSH, PathPrefix []string
	// PrimarySync tells of a passive server how far it is behind its primary, and what is wrong with that; may be nil.
	PrimarySync func() (text, problem string, err error)
	// OpenCompressor starts the plugin of the option compression.
	OpenCompressor func(context.Context) error
	// WALGaps looks for WAL that backups need and the archive does not have; may be nil.
	WALGaps func(context.Context) (Gaps, error)
	// ClockProblem says why the retention policy does not trust the clock, empty when it does; may be nil.
	ClockProblem func(context.Context) (string, error)
	// Encryption is the option of that name.
	Encryption string

	Archiver, StreamingArchiver bool
	Policy                      Policy
	Now                         func() time.Time
}

// Gaps is the WAL that is missing.
type Gaps struct {
	// Files is the number of files, First the name of the first one, which the backup needs.
	Files         uint64
	First, Backup string
}

// Policy are the limits that a server's backups and WAL have to keep; nil means no limit.
type Policy struct {
	// BadRetention means that a retention policy is configured that nobody understands.
	BadRetention                    bool
	BackupMaximumAge, WALMaximumAge *time.Duration
	// BackupMinimumSize is in bytes.
	BackupMinimumSize *int64
	MinimumRedundancy int
	// MaximumQueue is the number of WAL files that may wait.
	MaximumQueue *int
	// FreeSpace returns an error when the disk has no space for WAL; may be nil.
	FreeSpace func() error
}

// Catalog is what is known of the server's backups; *catalog.Catalog is one.
type Catalog interface {
	List() (*catalog.Backups, error)
	Identity() (id catalog.Identity, found bool, err error)
}

// Index is the list of archived WAL; *catalog.WALIndex is one.
type Index interface {
	Sum(ctx context.Context, spans []catalog.WALSpan) (map[string]*catalog.WALStats, []*catalog.WALLineError, error)
}

// Transfer is the transfer plugin; *transfer.Client is one.
type Transfer interface {
	Check(ctx context.Context, req transfer.CheckRequest) ([]transfer.CheckRow, error)
	Stat(ctx context.Context, remote []string, paths []string) ([]transfer.PathInfo, error)
}

// probes are the answers that rows are made of.
type probes struct {
	sql, primary, walSQL    *answer[*Facts]
	streaming, walStreaming *answer[postgres.Identity]
	directories             *answer[struct{}]
	waiting                 *answer[waiting]
	history                 *answer[*history]
	gaps                    *answer[Gaps]
	clock                   *answer[string]
	receiver                *answer[receiver]
	compressor              *answer[struct{}]
	transfer, label, ssh    *answer[[]Row]
}

// Run examines the server. Every probe has until the timeout, those on which others depend a little less; 0 means no limit.
// When ctx ends, the report is incomplete and of no use.
func (c *Checker) Run(ctx context.Context, timeout time.Duration) *Report {
	p := c.start(ctx, timeout)
	r := &rows{}
	c.walArchive(r, p)
	if !c.Passive {
		c.postgres(r, p)
		c.walStreaming(r, p)
	}
	c.localSetup(r, p)
	c.backups(r, p)
	c.executor(r, p)
	c.configuration(r)
	c.identity(r, p)
	if !c.Passive {
		c.archivers(r, p)
	}
	c.archiverErrors(r, p)
	if r.late {
		r.fail("check timeout", "barman check command timed out")
	}
	return &Report{Server: c.Server, Active: c.Active, Disabled: c.Disabled, Rows: r.list}
}

// start starts all probes.
func (c *Checker) start(ctx context.Context, timeout time.Duration) *probes {
	// What waits for PostgreSQL's version needs time of its own after PostgreSQL has run out of time.
	first := timeout * 3 / 4
	p := &probes{
		sql: askIf(ctx, first, c.SQL), primary: askIf(ctx, timeout, c.Primary), streaming: askIf(ctx, first, c.Streaming),
		walSQL: askIf(ctx, timeout, c.WALSQL), walStreaming: askIf(ctx, timeout, c.WALStreaming),
		waiting:  ask(ctx, timeout, c.lookForWAL),
		history:  ask(ctx, first, c.readHistory),
		gaps:     askIf(ctx, timeout, c.WALGaps),
		clock:    askIf(ctx, timeout, c.ClockProblem),
		receiver: ask(ctx, timeout, c.receiving),
	}
	if !c.Disabled {
		p.directories = ask(ctx, timeout, c.makeDirectories)
	}
	if c.OpenCompressor != nil {
		p.compressor = ask(ctx, timeout, func(ctx context.Context) (struct{}, error) { return struct{}{}, c.OpenCompressor(ctx) })
	}
	if c.Passive {
		p.ssh = ask(ctx, timeout, c.probeSSH)
		return p
	}
	if c.OpenTransfer != nil {
		p.transfer = ask(ctx, timeout, func(ctx context.Context) ([]Row, error) { return c.probeTransfer(ctx, p.sql) })
		p.label = ask(ctx, timeout, func(ctx context.Context) ([]Row, error) { return c.probeLabel(ctx, p) })
	}
	return p
}

func askIf[T any](ctx context.Context, limit time.Duration, probe func(context.Context) (T, error)) *answer[T] {
	if probe == nil {
		return nil
	}
	return ask(ctx, limit, probe)
}

// rows collects the rows of a report.
type rows struct {
	list []Row
	late bool
}

func (r *rows) ok(label, hint string) { r.add(Row{Label: label, OK: true, Hint: hint}) }

func (r *rows) fail(label, hint string) { r.add(Row{Label: label, Hint: hint}) }

// test adds a row whose hint is about its failure.
func (r *rows) test(label string, ok bool, failure string) {
	if ok {
		failure = ""
	}
	r.add(Row{Label: label, OK: ok, Hint: failure})
}

// failed adds the row of a probe that gave an error.
func (r *rows) failed(label string, err error) {
	r.late = r.late || late(err)
	r.fail(label, hint(err))
}

func (r *rows) add(row Row) {
	if row.OK && row.OnlyFailure {
		return
	}
	r.list = append(r.list, row)
}

func (r *rows) addAll(list []Row) {
	for row := range slices.Values(list) {
		r.add(row)
	}
}
