package basebackup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/plugin"
	"github.com/barman-go/barman/sdk/progress"
	"github.com/barman-go/barman/sdk/toolexec"
	"github.com/barman-go/barman/sdk/transfer"
)

// Executor is a transfer.BackupTaker that runs pg_basebackup. Its methods may be called at the same time.
type Executor struct{ env plugin.Env }

var _ transfer.BackupTaker = (*Executor)(nil)

// New returns an executor.
func New(env plugin.Env) *Executor {
	if env.Log == nil {
		env.Log = hclog.NewNullLogger()
	}
	return &Executor{env: env}
}

// Describe implements transfer.Transfer.
func (e *Executor) Describe() transfer.Description {
	return transfer.Description{Mode: transfer.SelfContained, SupportsBandwidthLimit: true}
}

// Check implements transfer.Transfer with the rows `pg_basebackup`, `pg_basebackup compatible`, `pg_basebackup supports
// tablespaces mapping`, and, when it fails, `backup compression`.
func (e *Executor) Check(ctx context.Context, req transfer.CheckRequest) ([]transfer.CheckRow, error) {
	server := version(req.ServerVersion)
	t, err := e.choose(ctx, server)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	installed := transfer.CheckRow{Label: "pg_basebackup", OK: t.path != ""}
	compatible := transfer.CheckRow{Label: "pg_basebackup compatible", OK: err == nil && server != 0}
	if !installed.OK {
		installed.Hint = err.Error()
	}
	if !compatible.OK {
		found := "Unknown"
		if t.path != "" {
			found = t.version.String()
		}
		compatible.Hint = fmt.Sprintf("PostgreSQL version: %s, pg_basebackup version: %s", server, found)
	}
	rows := []transfer.CheckRow{installed, compatible}
	if server != 0 {
		mapping := transfer.CheckRow{Label: "pg_basebackup supports tablespaces mapping", OK: t.version.major() >= 904}
		if !mapping.OK {
			mapping.Hint = "pg_basebackup 9.4 or higher is required for tablespaces mapping"
		}
		rows = append(rows, mapping)
	}
	if err == nil && req.Compression != nil {
		row := transfer.CheckRow{Label: "backup compression", OK: true, OnlyFailure: true}
		err := validateCompression(t.version, server, req.Compression)
		if err == nil {
			_, err = e.chooseCodec(ctx, req.Compression)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			row.OK, row.Hint = false, err.Error()
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// TakeBackup implements transfer.BackupTaker.
func (e *Executor) TakeBackup(ctx context.Context, req transfer.TakeBackupRequest, rep transfer.BackupReporter) (transfer.TakeBackupResult, error) {
	t, err := e.choose(ctx, version(req.ServerVersion))
	if err != nil {
		return transfer.TakeBackupResult{}, err
	}
	args, err := arguments(t, &req)
	if err != nil {
		return transfer.TakeBackupResult{}, err
	}
	codec, err := e.chooseCodec(ctx, req.Compression)
	if err != nil {
		return transfer.TakeBackupResult{}, err
	}
	if err := prepare(&req); err != nil {
		return transfer.TakeBackupResult{}, err
	}
	e.env.Log.Info("pg_basebackup chosen", "op", req.Op, "path", t.path, "version", t.version.String())
	begin := time.Now()
	for attempt := 0; ; attempt++ {
		err := e.run(ctx, t, args, &req, rep)
		if err == nil {
			break
		}
		if ctx.Err() != nil || attempt >= req.Retry.Times {
			return transfer.TakeBackupResult{}, err
		}
		e.env.Log.Warn("pg_basebackup failed; what it copied is removed and it is run again", "op", req.Op,
			"attempt", attempt+1, "of", req.Retry.Times+1, "sleep", req.Retry.Sleep, "error", err)
		if err := wipe(&req); err != nil {
			return transfer.TakeBackupResult{}, err
		}
		if err := sleep(ctx, req.Retry.Sleep); err != nil {
			return transfer.TakeBackupResult{}, err
		}
	}
	result := transfer.TakeBackupResult{Copy: time.Since(begin)}
	if result.BackupLabel, err = e.label(ctx, &req, codec); err != nil {
		return transfer.TakeBackupResult{}, err
	}
	if result.EndLSN, err = endLSN(filepath.Join(req.Destination, "backup_manifest")); err != nil {
		return transfer.TakeBackupResult{}, err
	}
	return result, nil
}

// waitingText is what the server says when it waits for archiving; a WAL switch on the primary helps a standby.
const waitingText = "waiting for required WAL segments to be archived"

var progressText = regexp.MustCompile(`^\s*(\d+)/(\d+) kB \(\d+%\), \d+/\d+ tablespaces?`)

func (e *Executor) run(ctx context.Context, t tool, args []string, req *transfer.TakeBackupRequest, rep transfer.BackupReporter) error {
	// Progress comes once a second; it must not push the reason of a failure out of the last lines.
	var said []string
	cmd := toolexec.Command{
		Name: t.path, Args: args, PathPrefix: e.env.PathPrefix,
		OnStderr: func(line string) {
			if m := progressText.FindStringSubmatch(line); m != nil {
				done, _ := strconv.ParseInt(m[1], 10, 64)
				all, _ := strconv.ParseInt(m[2], 10, 64)
				rep.Progress(progress.Progress{BytesDone: done << 10, BytesTotal: all << 10, Label: "base backup"})
				return
			}
			e.env.Log.Info(line, "op", req.Op)
			if said = append(said, line); len(said) > 20 {
				said = said[1:]
			}
			if strings.Contains(line, waitingText) {
				rep.WaitingForWAL()
			}
		},
	}
	if req.Password != "" {
		cmd.Env = []string{"PGPASSWORD=" + req.Password}
	}
	_, err := toolexec.Run(ctx, cmd)
	var exit *toolexec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	exit.Stderr = said
	return failure(exit)
}

// failure tells what a person can do about it.
func failure(exit *toolexec.ExitError) error {
	d := diag.Diagnostic{
		Severity: diag.Error, Code: diag.CodeToolFailed, Retryable: true, Summary: "pg_basebackup failed", Detail: exit.Error(),
	}
	said := strings.Join(exit.Stderr, "\n")
	switch {
	case strings.Contains(said, "No space left on device"):
		d.Code, d.Summary = diag.CodeNoSpace, "pg_basebackup failed because there is no space left"
	case strings.Contains(said, "connection to server"), strings.Contains(said, "could not connect"),
		strings.Contains(said, "could not translate host name"), strings.Contains(said, "server closed the connection"):
		d.Code, d.Summary = diag.CodeConnectionFailed, "pg_basebackup lost, or did not get, its connection to PostgreSQL"
	}
	return d
}

// destinations are all directories that the tool writes to.
func destinations(req *transfer.TakeBackupRequest) []string {
	dirs := []string{req.Destination}
	for _, ts := range req.Tablespaces {
		dirs = append(dirs, ts.Destination)
	}
	return dirs
}

// prepare makes the destinations, private to this user as PostgreSQL wants its data directory to be.
func prepare(req *transfer.TakeBackupRequest) error {
	for _, dir := range destinations(req) {
		if !filepath.IsAbs(dir) {
			return invalid("destination %q is not an absolute path", dir)
		}
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if len(entries) > 0 {
			return invalid("destination %s is not empty; nothing was written to it", dir)
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		if err := os.Chmod(dir, 0o700); err != nil {
			return err
		}
	}
	return nil
}

// wipe empties the destinations, which were empty before.
func wipe(req *transfer.TakeBackupRequest) error {
	for _, dir := range destinations(req) {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, entry := range entries {
			if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	return prepare(req)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func invalid(format string, args ...any) error {
	return diag.Diagnostic{Severity: diag.Error, Summary: fmt.Sprintf(format, args...), Code: diag.CodeInvalidOption}
}
