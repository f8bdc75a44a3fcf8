package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/barman-go/barman/cmd/internal/walclient"
)

// options are those of the command line.
type options struct {
	walclient.Remote
	server, wal, dest string
	sleep             int
	// parallel is how many files the spool may hold; 0 means that nothing is fetched ahead.
	parallel                   int
	spoolDir                   string
	partial, gzip, bzip2, keep bool
	test                       bool
	// prefetch makes this process the prefetcher.
	prefetch bool
}

func newCommand() *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:   "barman-wal-restore [options] BARMAN_HOST SERVER_NAME WAL_NAME WAL_DEST",
		Short: "Fetch a WAL file from Barman, as restore_command",
		Long: `Fetch a WAL file from Barman on another host, through ssh. It is meant for PostgreSQL's restore_command: the exit code is 0 only
when WAL_DEST is a whole WAL file that fits its name. SERVER_NAME is the server's name in Barman's configuration, WAL_NAME is %f,
WAL_DEST is %p.

With --parallel the files that PostgreSQL will ask for next are fetched in the background, through one connection, into a
spool directory; up to that many wait there. The user of the PostgreSQL server must be able to log in on the Barman host with a key.

Exit code 1: Barman has no such file; 2: no connection, or a mistake or error on this host; 3: WAL_DEST cannot be written or
WAL_NAME is not that of a WAL file; others are those of "barman get-wal".`,
		Example: `  barman-wal-restore --test backup main x x
  restore_command = 'barman-wal-restore backup main %f %p'
  restore_command = 'barman-wal-restore --parallel 8 --partial -U barman backup main %f %p'`,
		Args: walclient.Positional("BARMAN_HOST", "SERVER_NAME", "WAL_NAME", "WAL_DEST"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Host, o.server, o.wal, o.dest = args[0], args[1], args[2], args[3]
			return o.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	o.AddFlags(fl)
	fl.VarP((*natural)(&o.sleep), "sleep", "s", "wait `SECONDS` before exiting when Barman could not deliver")
	fl.VarP((*natural)(&o.parallel), "parallel", "p", "keep up to `JOBS` further files ready in the spool; 0 fetches nothing ahead")
	fl.StringVar(&o.spoolDir, "spool-dir", "/var/tmp/walrestore", "where files wait that were fetched ahead: `DIR`")
	fl.BoolVarP(&o.partial, "partial", "P", false, "also take a segment that is not complete")
	fl.BoolVarP(&o.gzip, "gzip", "z", false, "have the file compressed with gzip on its way (deprecated)")
	fl.BoolVarP(&o.bzip2, "bzip2", "j", false, "have the file compressed with bzip2 on its way (deprecated)")
	fl.BoolVar(&o.keep, "keep-compression", false, "have the file sent as it is stored, and decompress it here")
	cmd.MarkFlagsMutuallyExclusive("gzip", "bzip2", "keep-compression")
	fl.BoolVarP(&o.test, "test", "t", false, "only see whether Barman would hand out WAL of the server")
	fl.BoolVar(&o.prefetch, "prefetch", false, "be the process in the background")
	_ = fl.MarkHidden("prefetch")
	return cmd
}

func (o *options) run(ctx context.Context, stdout, stderr io.Writer) error {
	for name, used := range map[string]bool{"gzip": o.gzip, "bzip2": o.bzip2} {
		if used && !o.prefetch {
			fmt.Fprintf(stdout, "WARNING: `%s` option is deprecated and will be removed in future versions. For WAL compression, "+
				"please make sure to enable it directly on the Barman server via the `compression` configuration option\n", name)
		}
	}
	switch {
	case o.test:
		return walclient.Test(ctx, stdout, stderr, o.getWAL("dummy_wal_name", "--test"))
	case o.prefetch:
		return prefetch(ctx, o)
	}
	err := restore(ctx, o, stderr)
	if err != nil && err.remote && o.sleep > 0 {
		fmt.Fprintf(stderr, "Sleeping for %d seconds.\n", o.sleep)
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(o.sleep) * time.Second):
		}
	}
	if err != nil {
		return err.exit
	}
	return nil
}

// getWAL are the arguments of ssh that call get-wal with some options for a file.
func (o *options) getWAL(name string, more ...string) []string {
	var words []string
	if o.Config != "" {
		words = append(words, "--config "+walclient.Word(o.Config))
	}
	line := append([]string{"get-wal"}, more...)
	for _, option := range []struct {
		word string
		used bool
	}{{"--gzip", o.gzip}, {"--bzip2", o.bzip2}, {"--keep-compression", o.keep}, {"--partial", o.partial}} {
		if option.used {
			line = append(line, option.word)
		}
	}
	line = append(line, walclient.Quote(o.server), walclient.Quote(name))
	return o.Args(append(words, strings.Join(line, " "))...)
}

// natural is an integer option that is not negative.
type natural int

func (n *natural) Set(text string) error {
	v, err := strconv.Atoi(text)
	if err != nil || v < 0 {
		return fmt.Errorf("'%s' is not a non negative integer", text)
	}
	*n = natural(v)
	return nil
}

func (*natural) Type() string     { return "N" }
func (n *natural) String() string { return strconv.Itoa(int(*n)) }
