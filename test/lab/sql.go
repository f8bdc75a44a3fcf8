package lab

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// Conninfo returns a connection string for the loopback TCP port. user and dbname default to postgres.
func (c *Cluster) Conninfo(user, dbname string) string {
	return fmt.Sprintf("host=127.0.0.1 port=%d user=%s dbname=%s", c.Port, orPostgres(user), orPostgres(dbname))
}

// SocketConninfo is Conninfo through the Unix socket.
func (c *Cluster) SocketConninfo(user, dbname string) string {
	return fmt.Sprintf("host=%s port=%d user=%s dbname=%s", c.SocketDir, c.Port, orPostgres(user), orPostgres(dbname))
}

func orPostgres(s string) string {
	if s == "" {
		return "postgres"
	}
	return s
}

// psqlArgs are the arguments of every psql: no start-up file, bare output, stop at the first error.
func (c *Cluster) psqlArgs() []string {
	return []string{
		"--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1",
		"--host=" + c.SocketDir, "--port=" + strconv.Itoa(c.Port), "--username=postgres", "--dbname=postgres",
	}
}

// SQL runs statements as superuser in the database postgres and returns psql's bare output: rows separated by line feeds,
// columns by "|". Statements of one call are one transaction, like psql -c.
func (c *Cluster) SQL(ctx context.Context, sql string) (string, error) {
	out, err := mustRun(c.Tool(ctx, "psql", append(c.psqlArgs(), "--command="+sql)...))
	if err != nil {
		return "", fmt.Errorf("%w (statement: %s)", err, sql)
	}
	return strings.TrimRight(out, "\n"), nil
}

// MustSQL is SQL for tests.
func (c *Cluster) MustSQL(t testing.TB, sql string) string {
	t.Helper()
	out, err := c.SQL(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
