package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/google/shlex"
	"github.com/spf13/cobra"

	"github.com/barman-go/barman/core/archive"
	"github.com/barman-go/barman/core/check"
	"github.com/barman-go/barman/core/config"
	"github.com/barman-go/barman/core/postgres"
	"github.com/barman-go/barman/core/report"
	"github.com/barman-go/barman/sdk/transfer"
)

func serverCommands(a *app) []*cobra.Command {
	return []*cobra.Command{
		newListServersCommand(a), newShowServersCommand(a), newStatusCommand(a), newCheckCommand(a), newReplicationStatusCommand(a),
		newDiagnoseCommand(a),
	}
}

func newListServersCommand(a *app) *cobra.Command {
	var minimal bool
	cmd := &cobra.Command{
		Use:     "list-servers [options]",
		Aliases: []string{"list-server"},
		Short:   "List the configured servers",
		Example: "  barman list-servers\n  barman list-servers --minimal",
		Args:    usage(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			servers, err := a.servers([]string{"all"}, showAll)
			if err != nil {
				return err
			}
			for _, s := range servers {
				a.out.Result(serverLine{s.Server, minimal})
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&minimal, "minimal", false, "print names only")
	return cmd
}

// serverLine is one line of list-servers.
type serverLine struct {
	s       *config.Server
	minimal bool
}

// description is that of the server with its state.
func (l serverLine) description() string {
	text := l.s.Description + state(l.s.Active, l.s.Disabled)
	if l.s.Passive() {
		text += " (Passive)"
	}
	return text
}

// state is what follows the name of a server that is not in normal operation.
func state(active, disabled bool) string {
	switch {
	case !active:
		return " (inactive)"
	case disabled:
		return " (WARNING: disabled)"
	}
	return ""
}

func (l serverLine) Console(p *report.Printer) {
	if text := l.description(); !l.minimal && text != "" {
		p.Line("%s - %s", l.s.Name, text)
		return
	}
	p.Line("%s", l.s.Name)
}

func (l serverLine) JSON() map[string]any {
	return map[string]any{l.s.Name: map[string]any{"description": l.description()}}
}

// checks runs the checks of `barman check`. timeout 0 means no limit.
func (s *server) checks(ctx context.Context, timeout time.Duration) *check.Report {
	return s.checker().Run(ctx, timeout)
}

// checker knows everything that the checks look at.
func (s *server) checker() *check.Checker {
	// Probes run at the same time, so what they share is made before them.
	s.plugins()
	codecs := s.codecs()
	_, badRetention := s.Rejected("retention_policy")
	c := &check.Checker{
		Server: s.Name, Active: s.Active, Disabled: s.Disabled, Passive: s.Passive(), Messages: s.Messages,
		Layout: s.layout, Catalog: s.catalog, Index: s.index(), LockDir: s.LockDirectory, SlotName: s.SlotName,
		Method: s.BackupMethod, Exclusive: s.BackupOptions.Has("exclusive_backup"), Encryption: s.Encryption, PathPrefix: s.PathPrefix,
		Archiver: s.Archiver, StreamingArchiver: s.StreamingArchiver, Now: now, WALGaps: s.checkGaps(), ClockProblem: s.checkClock(),
		Policy: check.Policy{
			BadRetention: badRetention, BackupMaximumAge: s.LastBackupMaximumAge, WALMaximumAge: s.LastWALMaximumAge,
			BackupMinimumSize: s.LastBackupMinimumSize, MinimumRedundancy: s.MinimumRedundancy, MaximumQueue: s.MaxIncomingWALsQueue,
			FreeSpace: func() error { return archive.CheckSpace(s.layout.Incoming, 0, s.WALFreeSpaceReserve) },
		},
	}
	if s.Compression != "" {
		c.OpenCompressor = func(ctx context.Context) error {
			_, err := codecs.Open(ctx, s.Compression)
			return err
		}
	}
	if s.Passive() {
		words, err := shlex.Split(s.PrimarySSHCommand)
		if err == nil {
			c.PrimarySSH = words
		}
		c.PrimarySync = func() (text, problem string, err error) {
			lag, err := s.lag()
			return lag.Text(now()), lag.Problem(now()), err
		}
		return c
	}
	s.checkConnections(c)
	s.checkTransfer(c)
	return c
}

// checkConnections says how the servers are asked that the connection strings name.
func (s *server) checkConnections(c *check.Checker) {
	if s.ConnInfo != "" {
		c.SQL = s.askSQL(s.ConnInfo)
	}
	if s.PrimaryConnInfo != "" {
		c.Primary = s.askSQL(s.PrimaryConnInfo)
	}
	streams := s.BackupMethod == "postgres" || s.StreamingArchiver
	if streams {
		c.Streaming = s.askReplication(s.StreamingConnInfo)
	}
	if wal := s.walConnInfo(); wal != s.ConnInfo {
		c.WALSQL = s.askSQL(wal)
		if streams {
			c.WALStreaming = s.askReplication(cmp.Or(s.WALStreamingConnInfo, s.StreamingConnInfo))
		}
	}
}

// walConnInfo is the connection string of the server that WAL comes from.
func (s *server) walConnInfo() string {
	return cmp.Or(s.WALConnInfo, s.WALStreamingConnInfo, s.ConnInfo)
}

func (s *server) askSQL(text string) func(context.Context) (*check.Facts, error) {
	return func(ctx context.Context) (*check.Facts, error) {
		info, err := s.conninfo(text)
		if err != nil {
			return nil, err
		}
		return check.AskSQL(info, s.SlotName)(ctx)
	}
}

func (s *server) askReplication(text string) func(context.Context) (postgres.Identity, error) {
	return func(ctx context.Context) (postgres.Identity, error) {
		info, err := s.conninfo(text)
		if err != nil {
			return postgres.Identity{}, err
		}
		return check.AskReplication(info)(ctx)
	}
}

// checkTransfer says how the transfer plugin is asked.
func (s *server) checkTransfer(c *check.Checker) {
	remote, sshErr := s.sshCommand()
	if s.BackupMethod != "postgres" && s.BackupMethod != "local-rsync" {
		c.Request.Remote = remote
	}
	if info, err := s.conninfo(s.StreamingConnInfo); err == nil {
		streaming := info.Streaming().WithDefault("application_name", s.StreamingBackupName)
		c.Request.Password = streaming.Get("password")
		// Without the password the text is safe to stand in a tool's arguments.
		c.Request.Conninfo, _ = streaming.ForTool(s.StreamingBackupName)
	}
	c.Request.Compression = s.baseCompression()
	c.OpenTransfer = func(ctx context.Context) (check.Transfer, transfer.Mode, error) {
		if sshErr != nil {
			return nil, 0, sshErr
		}
		plugin, description, err := s.transferPlugin(ctx, s.BackupMethod)
		if err != nil {
			return nil, 0, fmt.Errorf("backup_method %s: %w", s.BackupMethod, err)
		}
		return plugin, description.Mode, nil
	}
}
