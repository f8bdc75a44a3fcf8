package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/google/shlex"
	"github.com/spf13/cobra"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/config"
	"github.com/barman-go/barman/core/passive"
	"github.com/barman-go/barman/core/redact"
	"github.com/barman-go/barman/core/report"
)

func newSyncInfoCommand(a *app) *cobra.Command {
	var primary bool
	cmd := &cobra.Command{
		Use:   "sync-info [options] SERVER [LAST_WAL] [LAST_POSITION]",
		Short: "Tell what a server has, for its passive node",
		Long: `Write a JSON document about the backups and the WAL files of a server: what a passive node needs to know. With LAST_WAL only
the WAL files after that one are listed; LAST_POSITION, the last_position of the answer before, saves reading the index up to it.

With --primary, on a passive node: ask the primary node, keep its answer as primary.info, and print it. cron does this every minute.

Exit code 1: LAST_WAL is not a file that this server can have given; the passive node then asks for everything.`,
		Example: `  barman sync-info main
  barman sync-info main 000000010000000000000003 1200
  barman sync-info --primary main`,
		Args: usage(cobra.RangeArgs(1, 3)),
		RunE: func(cmd *cobra.Command, args []string) error {
			known, err := syncMark(args[1:])
			if err != nil {
				return err
			}
			s, err := a.oneServer(args[0], normal)
			if s == nil {
				return err
			}
			if primary {
				return s.syncInfoOfPrimary(cmd.Context(), known)
			}
			return s.syncInfo(cmd.Context(), known)
		},
	}
	cmd.Flags().BoolVar(&primary, "primary", false, "ask the primary node of a passive server")
	completeServers(a, cmd)
	return cmd
}

// syncMark reads LAST_WAL and LAST_POSITION. Position 0, which Barman refuses, is the first line of an index.
func syncMark(args []string) (mark catalog.WALMark, err error) {
	if len(args) > 0 {
		mark.Name = args[0]
	}
	if len(args) > 1 {
		if mark.Position, err = strconv.ParseInt(args[1], 10, 64); err != nil || mark.Position < 0 {
			return mark, usageError{fmt.Errorf("'%s' is not a valid non negative integer", args[1])}
		}
	}
	return mark, nil
}

func (s *server) syncInfo(ctx context.Context, known catalog.WALMark) error {
	d := passive.Describer{Catalog: s.catalog, Index: s.index(), Version: compatible, Config: s.syncConfig()}
	return d.Write(ctx, s.stdout, known)
}

func (s *server) syncInfoOfPrimary(ctx context.Context, known catalog.WALMark) error {
	p, err := s.primary()
	if err != nil {
		return err
	}
	if _, err := p.Fetch(ctx, known); err != nil {
		return err
	}
	if s.flags.quiet {
		return nil
	}
	answer, err := os.Open(s.layout.PrimaryInfoPath())
	if err != nil {
		return err
	}
	defer answer.Close() //nolint:errcheck // only read
	if _, err := io.Copy(s.stdout, answer); err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.stdout)
	return err
}

// primary is the node that a passive server is copied from.
func (s *server) primary() (*passive.Primary, error) {
	if !s.Passive() {
		return nil, fmt.Errorf("server %s is not passive", s.Name)
	}
	words, err := shlex.Split(s.PrimarySSHCommand)
	if err == nil && len(words) == 0 {
		err = errors.New("it names no program")
	}
	if err != nil {
		return nil, fmt.Errorf("Invalid primary_ssh_command in barman configuration for server %s: %w", s.Name, err)
	}
	p := &passive.Primary{Server: s.Name, Command: words, PathPrefix: s.PathPrefix, Layout: s.layout, Out: s.out, Log: s.log, Now: now}
	if s.ForwardConfigPath {
		if p.Config, err = filepath.Abs(s.cfg.Path); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// syncConfig are the server's options as sync-info shows them, without secrets.
func (s *server) syncConfig() report.Object {
	var o report.Object
	for _, v := range s.Values() {
		o = append(o, report.Field{Name: v.Option.Name, Value: syncValue(v)})
	}
	return append(o, report.Field{Name: "name", Value: s.Name})
}

func syncValue(v config.Value) any {
	switch x := v.Go.(type) {
	case config.Set:
		return x.String()
	case time.Duration:
		return report.Duration(x)
	case map[string]int:
		m := map[string]any{}
		for name, limit := range x {
			m[name] = limit
		}
		return m
	}
	value := v.JSON()
	if text, ok := value.(string); ok {
		return redact.Text(text)
	}
	return value
}
