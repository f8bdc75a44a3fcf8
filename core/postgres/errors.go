package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Errors that callers act upon. All other errors of this package say only that a statement failed, and why.
var (
	// ErrConnectionLost means that the session is gone. A backup that it had open is void.
	ErrConnectionLost = errors.New("connection to PostgreSQL lost")
	// ErrInRecovery means that the server is a standby, where the function cannot be used.
	ErrInRecovery = errors.New("the server is in recovery")
	// ErrUnsupportedVersion means that the server is too old for the call.
	ErrUnsupportedVersion = errors.New("unsupported PostgreSQL version")
	// ErrPrivileges means that the role may not do this; the error's text says what it needs.
	ErrPrivileges = errors.New("insufficient privileges")
	// ErrBackupEnded means that the backup was stopped or aborted before this call.
	ErrBackupEnded = errors.New("the backup has ended already")
	// ErrSlotExists and ErrNoSlot are about replication slots.
	ErrSlotExists = errors.New("replication slot exists already")
	ErrNoSlot     = errors.New("replication slot does not exist")
	// ErrNoFreeSlot means that max_replication_slots is reached.
	ErrNoFreeSlot = errors.New("all replication slots are in use")
	// ErrSlotActive means that another client uses the replication slot.
	ErrSlotActive = errors.New("replication slot is in use")
	// ErrSlotLost means that the server has removed WAL that the slot should have kept, and invalidated it.
	ErrSlotLost = errors.New("replication slot is invalidated")
	// ErrWALRemoved means that the server does not have the WAL any more that a stream wants.
	ErrWALRemoved = errors.New("the server has removed this WAL")
	// ErrNotInHistory means that the WAL that a stream wants is not a part of the server's past.
	ErrNotInHistory = errors.New("not a part of the server's history")
	// ErrNotReplication means that the server did not answer IDENTIFY_SYSTEM: not a replication connection.
	ErrNotReplication = errors.New("not a replication connection")
)

// SQLSTATE codes (PostgreSQL manual, appendix "PostgreSQL Error Codes").
const (
	codeInvalidPassword       = "28P01"
	codeInvalidAuthorization  = "28000"
	codeInsufficientPrivilege = "42501"
	codeDuplicateObject       = "42710"
	codeUndefinedObject       = "42704"
	codeObjectInUse           = "55006"
	codeNotInState            = "55000"
	codeLimitExceeded         = "53400"
	codeUndefinedFile         = "58P01"
	codeInternal              = "XX000"
)

// ServerError is an error that PostgreSQL itself reported.
type ServerError struct {
	// Code is the SQLSTATE, for instance "42501".
	Code string
	// Message, Detail and Hint are the server's words, without secrets.
	Message, Detail, Hint string
}

// Error returns the message with its detail and hint.
func (e *ServerError) Error() string {
	text := e.Message
	for _, more := range []string{e.Detail, e.Hint} {
		if more != "" {
			text += "; " + more
		}
	}
	return text
}

// ConnectError means that no session could be opened.
type ConnectError struct {
	// Conninfo is the connection string without passwords.
	Conninfo string
	// Authentication tells that the server was reached but refused the role or its password.
	Authentication bool
	cause          error
}

// Error names the server and the reason.
func (e *ConnectError) Error() string {
	return fmt.Sprintf("cannot connect to PostgreSQL with %q: %v", e.Conninfo, e.cause)
}

// Unwrap returns the reason, which is a *ServerError when the server gave it.
func (e *ConnectError) Unwrap() error { return e.cause }

func newConnectError(ctx context.Context, info Conninfo, err error) error {
	if ctx.Err() != nil {
		return &ConnectError{Conninfo: info.String(), cause: fmt.Errorf("%w (%s)", context.Cause(ctx), info.redact(err.Error()))}
	}
	result := &ConnectError{Conninfo: info.String(), cause: errors.New(info.redact(connectReason(err)))}
	if server := serverError(info, err); server != nil {
		result.cause = server
		result.Authentication = server.Code == codeInvalidPassword || server.Code == codeInvalidAuthorization
	}
	return result
}

// connectReason is pgx's reason without the connection string, which we say ourselves, and for a single address without
// the address that the operating system's error names already.
func connectReason(err error) string {
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		err = connect.Unwrap()
	}
	var dial *net.OpError
	if text := err.Error(); strings.Contains(text, "\n") || !errors.As(err, &dial) {
		return text
	}
	return dial.Error()
}

// serverError copies what the server said, or returns nil when it said nothing.
func serverError(info Conninfo, err error) *ServerError {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return nil
	}
	return &ServerError{pg.Code, info.redact(pg.Message), info.redact(pg.Detail), info.redact(pg.Hint)}
}

// callError turns pgx's error for one call into ours.
func (s *session) callError(ctx context.Context, what string, err error) error {
	server := serverError(s.info, err)
	switch {
	case ctx.Err() != nil:
		// The server's words would only be that it was told to cancel.
		return fmt.Errorf("cannot %s: %w", what, context.Cause(ctx))
	case s.raw.IsClosed():
		return fmt.Errorf("cannot %s: %w: %s", what, ErrConnectionLost, s.info.redact(err.Error()))
	case server != nil && server.Code == codeInsufficientPrivilege:
		return fmt.Errorf("cannot %s: %w: %w", what, ErrPrivileges, server)
	case server != nil:
		return fmt.Errorf("cannot %s: %w", what, server)
	default:
		return fmt.Errorf("cannot %s: %s", what, s.info.redact(err.Error()))
	}
}

// walError classifies what the server said about a request for WAL. Where the code alone is not telling, the words of the message
// decide; walreceivers and pg_receivewal see the same words, untranslated or not, so an unknown one is only not classified.
func walError(what string, server *ServerError) error {
	kind := error(nil)
	switch server.Code {
	case codeUndefinedObject:
		kind = ErrNoSlot
	case codeObjectInUse:
		kind = ErrSlotActive
	case codeNotInState:
		if strings.Contains(server.Message+server.Detail, "invalidated") {
			kind = ErrSlotLost
		}
	case codeUndefinedFile:
		kind = ErrWALRemoved
	case codeInternal:
		if strings.Contains(server.Message, "history") {
			kind = ErrNotInHistory
		}
	}
	if kind == nil {
		return fmt.Errorf("cannot %s: %w", what, server)
	}
	return fmt.Errorf("cannot %s: %w: %w", what, kind, server)
}
