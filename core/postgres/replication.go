package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/barman-go/barman/core/pattern"
	"github.com/barman-go/barman/core/wal"
)

// ReplicationConn is a session of the streaming replication protocol (PostgreSQL manual, chapter "Frontend/Backend
// Protocol", section "Streaming Replication Protocol"). Like Conn it is safe for concurrent use and never reconnects.
type ReplicationConn struct {
	session
}

// ConnectReplication opens a physical replication session; the role needs REPLICATION and pg_hba.conf an entry for the
// database "replication". Errors are those of Connect.
func ConnectReplication(ctx context.Context, info Conninfo, applicationName string) (*ReplicationConn, error) {
	config, err := pgxConfig(info.Streaming(), applicationName)
	if err != nil {
		return nil, err
	}
	done := keepRefused(&config.Config)
	raw, err := pgconn.ConnectConfig(ctx, &config.Config)
	done()
	if err != nil {
		return nil, newConnectError(ctx, info, err)
	}
	return &ReplicationConn{newSession(info, raw)}, nil
}

// Identity is the answer to IDENTIFY_SYSTEM.
type Identity struct {
	SystemID wal.SystemID
	Timeline wal.TimelineID
	// Flushed is the position up to which the server has WAL on disk.
	Flushed wal.LSN
}

// IdentifySystem asks who the server is. Errors wrap ErrNotReplication when the server does not understand the command.
func (c *ReplicationConn) IdentifySystem(ctx context.Context) (Identity, error) {
	rows, err := c.command(ctx, "identify the system", "IDENTIFY_SYSTEM")
	if err != nil {
		return Identity{}, err
	}
	if len(rows) != 1 || len(rows[0]) < 3 {
		return Identity{}, fmt.Errorf("cannot identify the system: %w", ErrNotReplication)
	}
	var id Identity
	timeline, err := strconv.ParseUint(string(rows[0][1]), 10, 32)
	if err != nil {
		return Identity{}, fmt.Errorf("cannot identify the system: timeline %q", rows[0][1])
	}
	id.Timeline = wal.TimelineID(timeline)
	if id.SystemID, err = wal.ParseSystemID(string(rows[0][0])); err != nil {
		return Identity{}, err
	}
	id.Flushed, err = wal.ParseLSN(string(rows[0][2]))
	return id, err
}

// slotName is what PostgreSQL accepts (manual, section "Replication Slots"); it also keeps names out of the command's syntax.
var slotName = pattern.New(`^[a-z0-9_]{1,63}$`)

// ValidateSlotName returns an error unless PostgreSQL accepts the name.
func ValidateSlotName(name string) error {
	if !slotName.MatchString(name) {
		return fmt.Errorf("invalid replication slot name %q: use 1 to 63 lower-case letters, digits and underscores", name)
	}
	return nil
}

// CreatePhysicalSlot creates a physical replication slot. It keeps no WAL until a client has used it. Errors wrap ErrSlotExists
// or ErrNoFreeSlot.
func (c *ReplicationConn) CreatePhysicalSlot(ctx context.Context, name string) error {
	return c.slotCommand(ctx, "create", name, "CREATE_REPLICATION_SLOT %s PHYSICAL")
}

// DropSlot drops a replication slot that nobody uses. Errors wrap ErrNoSlot or ErrSlotActive.
func (c *ReplicationConn) DropSlot(ctx context.Context, name string) error {
	return c.slotCommand(ctx, "drop", name, "DROP_REPLICATION_SLOT %s")
}

func (c *ReplicationConn) slotCommand(ctx context.Context, verb, name, format string) error {
	if err := ValidateSlotName(name); err != nil {
		return err
	}
	_, err := c.command(ctx, fmt.Sprintf("%s replication slot %q", verb, name), fmt.Sprintf(format, name))
	var server *ServerError
	if errors.As(err, &server) {
		switch server.Code {
		case codeDuplicateObject:
			return fmt.Errorf("%w: %w", ErrSlotExists, err)
		case codeLimitExceeded:
			return fmt.Errorf("%w: %w", ErrNoFreeSlot, err)
		case codeUndefinedObject:
			return fmt.Errorf("%w: %w", ErrNoSlot, err)
		case codeObjectInUse:
			return fmt.Errorf("%w: %w", ErrSlotActive, err)
		}
	}
	return err
}

// TimelineHistory returns the name and the text of a timeline's history file.
func (c *ReplicationConn) TimelineHistory(ctx context.Context, timeline wal.TimelineID) (name string, text []byte, err error) {
	rows, err := c.command(ctx, "read the history of timeline "+timeline.String(), fmt.Sprintf("TIMELINE_HISTORY %d", timeline))
	if err != nil {
		return "", nil, err
	}
	if len(rows) != 1 || len(rows[0]) != 2 {
		return "", nil, fmt.Errorf("cannot read the history of timeline %s: the server's answer has another form", timeline)
	}
	return string(rows[0][0]), rows[0][1], nil
}

// SegmentSize asks for the size of the server's WAL segments.
func (c *ReplicationConn) SegmentSize(ctx context.Context) (wal.SegmentSize, error) {
	rows, err := c.command(ctx, "read wal_segment_size", "SHOW wal_segment_size")
	if err != nil {
		return 0, err
	}
	if len(rows) != 1 || len(rows[0]) != 1 {
		return 0, fmt.Errorf("cannot read wal_segment_size: %w", ErrNotReplication)
	}
	return parseSegmentSize(string(rows[0][0]))
}

// parseSegmentSize reads a size as SHOW prints it, such as "16MB" or "1GB".
func parseSegmentSize(text string) (wal.SegmentSize, error) {
	number, unit := text, uint64(0)
	for suffix, factor := range map[string]uint64{"MB": 1 << 20, "GB": 1 << 30} {
		if n, ok := strings.CutSuffix(text, suffix); ok {
			number, unit = n, factor
		}
	}
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil || unit == 0 {
		return 0, fmt.Errorf("cannot read wal_segment_size: the server says %q", text)
	}
	size := wal.SegmentSize(n * unit)
	return size, size.Validate()
}

// Version is the server's version as it was announced at connect time.
func (c *ReplicationConn) Version() (Version, error) {
	return parseVersion(c.raw.ParameterStatus("server_version"))
}

// command runs one command of the replication protocol. They exist in the simple query protocol only, without parameters.
func (c *ReplicationConn) command(ctx context.Context, what, command string) (rows [][][]byte, err error) {
	err = c.do(ctx, what, func(ctx context.Context) error {
		results, err := c.raw.Exec(ctx, command).ReadAll()
		if err != nil {
			return err
		}
		for _, result := range results {
			rows = append(rows, result.Rows...)
		}
		return nil
	})
	return rows, err
}
