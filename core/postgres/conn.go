package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
)

// closeTimeout limits how long Close waits for the server to read the goodbye.
const closeTimeout = 2 * time.Second

// cancelGrace is how long a cancelled statement gets to end on the server before the session is cut.
const cancelGrace = 5 * time.Second

// Conn is one SQL session of a PostgreSQL server. It is safe for concurrent use; calls are serialised. It never reconnects:
// once a call has returned an error that wraps ErrConnectionLost, every later one does.
type Conn struct {
	session
	pgx     *pgx.Conn
	version Version
	dialect dialect
}

// Connect opens a session. applicationName shows in pg_stat_activity unless the connection string has its own. A
// connect_timeout of the connection string counts, and so does the context's deadline.
//
// Errors: a *ConnectError when the server cannot be reached or refuses us; ErrConninfo when the connection string cannot
// be used; ErrUnsupportedVersion for a server older than 10.
func Connect(ctx context.Context, info Conninfo, applicationName string) (*Conn, error) {
	config, err := pgxConfig(info, applicationName)
	if err != nil {
		return nil, err
	}
	// The catalog's functions and operators must mean PostgreSQL's own, whatever a role's search_path says; and times are
	// parsed in ISO form.
	config.RuntimeParams["search_path"] = "pg_catalog"
	config.RuntimeParams["datestyle"] = "ISO"
	done := keepRefused(&config.Config)
	raw, err := pgx.ConnectConfig(ctx, config)
	done()
	if err != nil {
		return nil, newConnectError(ctx, info, err)
	}
	version, err := parseVersion(raw.PgConn().ParameterStatus("server_version"))
	if err == nil && version.Num < MinimumVersion {
		err = fmt.Errorf("%w: PostgreSQL %s, the oldest supported is %d", ErrUnsupportedVersion, version, MinimumVersion/10000)
	}
	if err != nil {
		closeRaw(raw.PgConn())
		return nil, err
	}
	return &Conn{session: newSession(info, raw.PgConn()), pgx: raw, version: version, dialect: dialectOf(version)}, nil
}

// Version returns the server's version as it was announced at connect time.
func (c *Conn) Version() Version { return c.version }

// Ping asks the server for a sign of life.
func (c *Conn) Ping(ctx context.Context) error {
	return c.do(ctx, "probe the session", func(ctx context.Context) error {
		_, err := c.pgx.Exec(ctx, "SELECT 1")
		return err
	})
}

// query runs one statement and scans its only row. what is for the error: "cannot <what>: …".
func (c *Conn) query(ctx context.Context, what, sql string, args []any, dest ...any) error {
	return c.do(ctx, what, func(ctx context.Context) error {
		return c.pgx.QueryRow(ctx, sql, args...).Scan(dest...)
	})
}

// exec runs one statement without a result.
func (c *Conn) exec(ctx context.Context, what, sql string, args ...any) error {
	return c.do(ctx, what, func(ctx context.Context) error {
		_, err := c.pgx.Exec(ctx, sql, args...)
		return err
	})
}

// batch runs several statements in one round trip.
func (c *Conn) batch(ctx context.Context, what string, batch *pgx.Batch) error {
	return c.do(ctx, what, func(ctx context.Context) error {
		return c.pgx.SendBatch(ctx, batch).Close()
	})
}

// session is what SQL and replication connections share: one call at a time, errors without secrets, closing.
type session struct {
	info Conninfo
	raw  *pgconn.PgConn
	// turn holds one token; who has it may use the connection. A channel instead of a mutex, so that waiting for one's turn
	// ends with the context.
	turn chan struct{}
}

func newSession(info Conninfo, raw *pgconn.PgConn) session {
	return session{info: info, raw: raw, turn: make(chan struct{}, 1)}
}

// do runs one call on the connection when its turn comes.
func (s *session) do(ctx context.Context, what string, call func(context.Context) error) error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return fmt.Errorf("cannot %s: %w", what, context.Cause(ctx))
	}
	if s.raw.IsClosed() {
		return fmt.Errorf("cannot %s on %s: %w", what, s.place(), ErrConnectionLost)
	}
	err := call(ctx)
	if err == nil {
		return nil
	}
	return s.callError(ctx, what, err)
}

// Close ends the session. It waits at most a few seconds, and interrupts a call that is running in another goroutine.
// Calling it again does nothing.
func (s *session) Close() {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
		closeRaw(s.raw)
	default:
		// Somebody waits for the server. Cutting the socket ends that call; the server rolls the session back by itself.
		_ = s.raw.Conn().Close()
	}
}

func closeRaw(raw *pgconn.PgConn) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = raw.Close(ctx) // whatever it says, the session is over
}

// place names the server for errors: host and port, or the socket.
func (s *session) place() string {
	if conn := s.raw.Conn(); conn != nil && conn.RemoteAddr() != nil && conn.RemoteAddr().String() != "" {
		return conn.RemoteAddr().String()
	}
	return "the server"
}

// clientKeywords are libpq parameters that pgx does not know. libpq uses them itself; sent to the server as run-time
// parameters they would make it refuse the connection. Those about TCP are honoured by dialFunc, and those that protect the connection here
// or there: see refuseUnkept.
var clientKeywords = []string{
	"hostaddr", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout",
	"requirepeer", "requiressl", "sslcrl", "sslcrldir", "sslcompression", "ssl_min_protocol_version",
	"ssl_max_protocol_version", "sslkeylogfile", "gssencmode", "gsslib", "gssdelegation", "load_balance_hosts",
	"fallback_application_name", "scram_client_key", "scram_server_key", "oauth_issuer", "oauth_client_id",
	"oauth_client_secret", "oauth_scope", "authtype", "tty",
}

// pgxConfig translates a connection string for pgx.
func pgxConfig(info Conninfo, applicationName string) (*pgx.ConnConfig, error) {
	if err := refuseUnkept(info); err != nil {
		return nil, err
	}
	known := info.Without(clientKeywords...)
	hostaddr := info.Get("hostaddr")
	if hostaddr != "" && !info.Has("host") {
		known = known.With("host", hostaddr)
	}
	fallback := info.Get("fallback_application_name")
	if fallback == "" {
		fallback = applicationName
	}
	if known.Get("application_name") == "" && fallback != "" {
		known = known.With("application_name", fallback)
	}
	config, err := pgx.ParseConfig(known.dsn())
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrConninfo, parseCause(info, err))
	}
	if err := limitTLS(info, config); err != nil {
		return nil, err
	}
	if hostaddr != "" {
		config.LookupFunc = lookupHostaddr(info.Get("host"), hostaddr)
	}
	dial, err := dialFunc(info, config.ConnectTimeout)
	if err != nil {
		return nil, err
	}
	if dial != nil {
		config.DialFunc = dial
	}
	// One round trip per statement, and nothing prepared on the server: our statements run once.
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	config.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: cancelGrace}
	}
	return config, nil
}

// parseCause keeps the reason of a parse error and drops the connection string that pgx quotes.
func parseCause(info Conninfo, err error) string {
	if inner := errors.Unwrap(err); inner != nil {
		return info.redact(inner.Error())
	}
	return info.redact(err.Error())
}

// lookupHostaddr makes pgx connect to the addresses of hostaddr, while host keeps naming the server for TLS.
func lookupHostaddr(host, hostaddr string) pgconn.LookupFunc {
	hosts, addresses := strings.Split(host, ","), strings.Split(hostaddr, ",")
	return func(ctx context.Context, name string) ([]string, error) {
		for i, h := range hosts {
			if h == name && i < len(addresses) && addresses[i] != "" {
				return []string{addresses[i]}, nil
			}
		}
		return net.DefaultResolver.LookupHost(ctx, name)
	}
}
