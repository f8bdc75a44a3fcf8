package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/barman-go/barman/cmd/internal/walclient"
)

// options are those of the command line.
type options struct {
	walclient.Remote
	server, path string
	test, md5    bool
	// format is that of the compression, nil for none; level is low, medium, high or a number.
	format *format
	level  level
}

func newCommand() *cobra.Command {
	o := &options{level: "medium"}
	cmd := &cobra.Command{
		Use:   "barman-wal-archive [options] BARMAN_HOST SERVER_NAME WAL_PATH",
		Short: "Send a WAL file to Barman, as archive_command",
		Long: `Send a WAL file to Barman on another host, through ssh. It is meant for PostgreSQL's archive_command: the exit code is 0 only
when Barman has the file on stable storage. SERVER_NAME is the server's name in Barman's configuration, WAL_PATH is %p.

The user of the PostgreSQL server must be able to log in on the Barman host with a key. Connections that stay open
(ControlMaster and ControlPersist in ~/.ssh/config) save most of the time that a file takes.

Exit code 2: a mistake or error on this host; 3: ssh has failed; others are those of "barman put-wal".`,
		Example: `  barman-wal-archive --test backup main x
  archive_command = 'barman-wal-archive backup main %p'
  archive_command = 'barman-wal-archive --zstd -U barman --port 2222 backup main %p'`,
		Args: walclient.Positional("BARMAN_HOST", "SERVER_NAME", "WAL_PATH"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Host, o.server, o.path = args[0], args[1], args[2]
			if o.test {
				return walclient.Test(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), o.Args(append(o.putWAL(), "--test")...))
			}
			return archive(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	o.AddFlags(fl)
	fl.BoolVarP(&o.test, "test", "t", false, "only see whether Barman would accept WAL of the server")
	fl.BoolVar(&o.md5, "md5", false, "send an MD5 instead of a SHA-256 checksum, for old versions of Barman")
	for i := range formats {
		f := &formats[i]
		fl.VarPF(choice{o, f}, f.name, f.short, "compress with "+f.name+" before sending").NoOptDefVal = "true"
	}
	fl.Var(&o.level, "compression-level", "`LEVEL` of the compression: low, medium, high or a number")
	return cmd
}

// putWAL are the words that call put-wal over there.
func (o *options) putWAL() []string {
	var words []string
	if o.Config != "" {
		words = append(words, "--config="+walclient.Quote(o.Config))
	}
	return append(words, "put-wal", walclient.Word(o.server))
}

// choice is the option that chooses a format; of several, the last one wins.
type choice struct {
	o *options
	f *format
}

func (c choice) Set(string) error { c.o.format = c.f; return nil }
func (choice) Type() string       { return "bool" }
func (choice) String() string     { return "false" }

// level is the value of --compression-level.
type level string

func (l *level) Set(text string) error {
	switch text {
	case "low", "medium", "high":
	default:
		if _, err := strconv.Atoi(text); err != nil {
			return fmt.Errorf("'%s' is neither low, medium, high nor a number", text)
		}
	}
	*l = level(text)
	return nil
}

func (*level) Type() string     { return "LEVEL" }
func (l *level) String() string { return string(*l) }
