package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/barman-go/barman/core/archive"
	"github.com/barman-go/barman/core/lock"
	"github.com/barman-go/barman/core/postgres"
	"github.com/barman-go/barman/core/receive"
)

func newReceiveWALCommand(a *app) *cobra.Command {
	var f struct{ stop, reset, create, ifNotExists, drop bool }
	cmd := &cobra.Command{
		Use:   "receive-wal [options] SERVER",
		Short: "Receive WAL as PostgreSQL writes it",
		Long: `Receive WAL through the streaming replication protocol until it is told to stop, and archive each segment that is complete.
It needs streaming_archiver = on; cron keeps one running for every such server. A lost connection is opened again.

With PostgreSQL's synchronous_standby_names = 'barman_receive_wal' (the option streaming_archiver_name) a commit is
acknowledged when its WAL is on the disk of this host.

SIGHUP makes it open its log file again, after the old one was renamed.

On a passive server: copy every second what the primary node is receiving and has not archived yet, so that a site that is lost
costs seconds and not a segment. cron keeps that running while the primary has streaming_archiver = on.`,
		Example: `  barman receive-wal main                  # until Ctrl-C
  barman receive-wal --create-slot main    # once, before the first run
  barman receive-wal --stop main
  barman receive-wal --reset main          # go on where the server has WAL, after a gap
  barman receive-wal --drop-slot main`,
		Args:        usage(cobra.ExactArgs(1)),
		Annotations: map[string]string{onHangup: reopenLog},
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.stop && f.reset {
				a.out.Error("--stop and --reset options are not compatible")
				return errReported
			}
			sel := normal
			if f.stop || f.reset || f.create || f.drop {
				sel = onlyEnabled
			}
			s, err := a.oneServer(args[0], sel)
			if s == nil {
				return err
			}
			ctx := cmd.Context()
			switch {
			case f.stop:
				return s.terminate(ctx, lock.ReceiveWAL.String())
			case f.create:
				return s.createSlot(ctx, f.ifNotExists)
			case f.drop:
				return s.dropSlot(ctx)
			}
			return s.receiveWAL(ctx, f.reset)
		},
	}
	fl := cmd.Flags()
	fl.BoolVar(&f.stop, "stop", false, "stop the process that receives")
	fl.BoolVar(&f.reset, "reset", false, "forget the position in the streaming directory, and go on with the WAL that the server has")
	fl.BoolVar(&f.create, "create-slot", false, "create the replication slot slot_name")
	fl.BoolVar(&f.ifNotExists, "if-not-exists", false, "with --create-slot: a slot that exists is no error")
	fl.BoolVar(&f.drop, "drop-slot", false, "drop the replication slot slot_name")
	completeServers(a, cmd)
	return cmd
}

// receiveWAL runs the receiver, or resets its position.
func (s *server) receiveWAL(ctx context.Context, reset bool) error {
	if s.Passive() {
		return s.mirrorWAL(ctx, reset)
	}
	if !s.StreamingArchiver {
		return errors.New("Unable to start receive-wal process: streaming_archiver option set to 'off' in barman configuration file")
	}
	l, err := s.lock(ctx, lock.ForServer(lock.ReceiveWAL, s.Name))
	switch {
	case errors.Is(err, lock.ErrBusy) && reset:
		return fmt.Errorf("Unable to reset the status of receive-wal for server %s. Process is still running (%s)", s.Name, lock.By(err))
	case errors.Is(err, lock.ErrBusy):
		return fmt.Errorf("Another receive-wal process is already running for server %s. (%s)", s.Name, lock.By(err))
	case err != nil:
		return err
	}
	defer l.Release() //nolint:errcheck // the lock ends with the process at the latest
	r, err := s.receiver()
	if err != nil {
		return err
	}
	s.sayOverrides()
	if err := s.canStream(ctx); err != nil {
		return fmt.Errorf("Impossible to start WAL streaming. Check the log for more details, or run 'barman check %s' (%w)", s.Name, err)
	}
	if reset {
		return r.Reset(ctx)
	}
	s.out.Info("Starting receive-wal for server %s", s.Name)
	// Archiving has a context of its own, which ends after the receiver: what completes last is archived like all the rest.
	archiving, stop := context.WithCancel(context.WithoutCancel(ctx))
	archived := s.archiveBeside(archiving, r)
	err = r.Run(ctx)
	stop()
	<-archived
	if err == nil {
		s.out.Info("SIGINT received. Terminate gracefully.")
	}
	return err
}

// archiveBeside archives what the receiver completes, in a goroutine that the receiver never waits for. The channel is closed when it
// has ended.
func (s *server) archiveBeside(ctx context.Context, r *receive.Receiver) (ended <-chan struct{}) {
	signal, done := make(chan struct{}, 1), make(chan struct{})
	r.Completed = func() {
		select {
		case signal <- struct{}{}:
		default: // one is under way that will find this segment, too
		}
	}
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case <-signal:
			}
			if err := s.archiveQuietly(ctx); err != nil && !errors.Is(err, lock.ErrBusy) && ctx.Err() == nil {
				s.log.Error("cannot archive what was received; cron will try again", "server", s.Name, "error", err)
			}
		}
	}()
	return done
}

// archiveQuietly is archive-wal with messages for the log only, and with plugins that live as long as one run: a receiver lives for
// months.
func (s *server) archiveQuietly(ctx context.Context) error {
	quiet := s.silentApp()
	defer quiet.close()
	return quiet.server(s.Server).archiveWAL(ctx, false, nil)
}

// streamingInfo is the connection string of the server that WAL is streamed from.
func (s *server) streamingInfo() (postgres.Conninfo, error) {
	return s.conninfo(cmp.Or(s.WALStreamingConnInfo, s.StreamingConnInfo))
}

func (s *server) sayOverrides() {
	if s.WALConnInfo == "" && s.WALStreamingConnInfo == "" {
		return
	}
	streaming, err := s.streamingInfo()
	if err != nil {
		return
	}
	ordinary, err := s.conninfo(s.walConnInfo())
	if err != nil {
		return
	}
	s.out.Info("Configuration overrides applied: 'streaming_conninfo' overridden with '%s' and 'conninfo' overridden with '%s'",
		streaming, ordinary)
}

// receiver is the WAL receiver of the server.
func (s *server) receiver() (*receive.Receiver, error) {
	info, err := s.streamingInfo()
	if err != nil {
		return nil, err
	}
	expect, err := s.expect()
	if err != nil {
		return nil, err
	}
	return &receive.Receiver{
		Server: s.Name, Dir: s.layout.Streaming, WALs: s.layout.WALs, Errors: s.layout.Errors, Slot: s.SlotName, CreateSlot: s.CreateSlot == "auto",
		SystemID: expect.SystemID, Out: s.out, Log: s.log, Now: now,
		Room: func(need int64) error { return archive.CheckSpace(s.layout.Streaming, need, s.WALFreeSpaceReserve) },
		Connect: func(ctx context.Context) (*postgres.ReplicationConn, error) {
			return postgres.ConnectReplication(ctx, info, s.StreamingArchiverName)
		},
		Ask: func(ctx context.Context) (receive.State, error) {
			facts, err := s.walFacts(ctx)
			if err != nil {
				return receive.State{}, err
			}
			name := cmp.Or(info.Get("application_name"), s.StreamingArchiverName)
			return receive.State{Slot: facts.Slot, Synchronous: waitsFor(facts, name)}, nil
		},
	}, nil
}

// waitsFor tells whether commits wait for a standby of a name. PostgreSQL ignores the case.
func waitsFor(facts *postgres.Facts, name string) bool {
	return slices.ContainsFunc(facts.SynchronousStandbyNames(), func(standby string) bool {
		return standby == "*" || strings.EqualFold(standby, name)
	})
}

// walFacts asks the server that WAL comes from, in at most check_timeout.
func (s *server) walFacts(ctx context.Context) (*postgres.Facts, error) {
	if s.CheckTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.CheckTimeout)
		defer cancel()
	}
	conn, err := s.connect(ctx, s.walConnInfo())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.Facts(ctx, postgres.FactsOptions{Slot: s.SlotName})
}

// canStream looks at what has to be right before WAL can be streamed.
func (s *server) canStream(ctx context.Context) error {
	facts, err := s.walFacts(ctx)
	if err != nil {
		return err
	}
	expect, err := s.expect()
	if err != nil {
		return err
	}
	if level, known := facts.Setting("wal_level"); known && level == "minimal" {
		return errors.New("wal_level is 'minimal': set it to 'replica' and restart PostgreSQL")
	}
	if !facts.Privileges.Monitoring {
		return errors.New("privileges for PostgreSQL monitoring functions are required: grant pg_monitor to the user of conninfo")
	}
	if expect.SystemID != 0 && expect.SystemID != facts.SystemID {
		return fmt.Errorf("the server's system identifier is %s, the one stored in %q is %s", facts.SystemID, s.layout.IdentityPath(), expect.SystemID)
	}
	return nil
}
