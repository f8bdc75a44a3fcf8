package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/barman-go/barman/core/lock"
	"github.com/barman-go/barman/core/passive"
	"github.com/barman-go/barman/core/report"
	"github.com/barman-go/barman/sdk/transfer"
)

// mirrorWAL is receive-wal of a passive server.
func (s *server) mirrorWAL(ctx context.Context, reset bool) error {
	p, err := s.primary()
	if err != nil {
		return err
	}
	doc, err := p.Stored(nil)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if doc == nil || !doc.Config.Streams || reset {
		return errors.New("Unable to start receive-wal process: streaming_archiver option set to 'off' in barman configuration file")
	}
	l, err := s.lock(ctx, lock.ForServer(lock.ReceiveWAL, s.Name))
	if errors.Is(err, lock.ErrBusy) {
		return fmt.Errorf("Another receive-wal process is already running for server %s. (%s)", s.Name, lock.By(err))
	}
	if err != nil {
		return err
	}
	defer l.Release() //nolint:errcheck // the lock ends with the process at the latest
	s.out.Info("Mirroring the WAL that the primary of server %s receives", s.Name)
	var plugins *app // those of the copier in use
	defer func() {
		if plugins != nil {
			plugins.close()
		}
	}()
	m := passive.Mirror{
		Server: s.Name, Primary: p, Catalog: s.catalog, Every: passive.MirrorEvery, Log: s.log, Now: now,
		Open: func(ctx context.Context) (passive.Copier, transfer.Plan, error) {
			if plugins != nil {
				plugins.close()
			}
			plugins = s.silentApp()
			return plugins.server(s.Server).passiveCopier(ctx, p)
		},
		CatchUp: s.catchUp,
	}
	return m.Run(ctx)
}

// catchUp is sync-info --primary and sync-wals, with messages for the log only.
func (s *server) catchUp(ctx context.Context) error {
	quiet := s.silentApp()
	defer quiet.close()
	q := quiet.server(s.Server)
	if _, err := q.askPrimary(ctx); err != nil {
		return err
	}
	return q.syncWALs(ctx)
}

// silentApp shares the configuration and the log, and nothing else: its plugins live until it is closed, and its messages go to the log.
func (s *server) silentApp() *app {
	quiet := &app{cfg: s.cfg, log: s.log, flags: s.flags, stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard}
	quiet.out = report.New(report.Options{Stdout: io.Discard, Stderr: io.Discard, Log: s.log})
	return quiet
}
