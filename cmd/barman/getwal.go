package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/barman-go/barman/core/archive"
	"github.com/barman-go/barman/core/wal"
)

func newGetWALCommand(a *app) *cobra.Command {
	var f struct {
		output              string
		format              string
		partial, keep, test bool
		peek, tar           int
	}
	cmd := &cobra.Command{
		Use:   "get-wal [options] SERVER WAL",
		Short: "Write a WAL file to standard output",
		Long: `Write a WAL file, decoded, to standard output or into a directory. PostgreSQL's restore_command uses it, directly or through
barman-wal-restore. Files that were not archived yet are found as well.

Exit code 1: there is no such file; 3: the name is not that of a WAL file, or the output cannot be written.`,
		Example: `  barman get-wal main 000000010000000000000003 > segment
  barman get-wal --output-directory /tmp main 000000010000000000000003
  barman get-wal --peek 10 main 000000010000000000000003`,
		Args: usage(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.oneServer(args[0], onlyEnabled)
			if s == nil {
				return err
			}
			if f.test {
				a.out.Print("Ready to retrieve WAL files from the server %s", s.Name)
				return nil
			}
			o := archive.GetOptions{Partial: f.partial, Compression: f.format, KeepCompression: f.keep}
			if o.Compression != "" && f.keep {
				a.out.Error("argument `%s` not allowed with argument `keep-compression`", o.Compression)
				return errReported
			}
			if f.tar > 0 {
				o.KeepKnown = true
				return s.getWALs(cmd.Context(), args[1], f.tar, o)
			}
			return s.getWAL(cmd.Context(), args[1], o, f.output, f.peek)
		},
	}
	fl := cmd.Flags()
	fl.StringVarP(&f.output, "output-directory", "o", "", "write to a file of the WAL's name in `DIR`")
	fl.BoolVarP(&f.partial, "partial", "P", false, "also look for a segment that is not complete")
	for _, c := range []struct{ name, short, format string }{{"gzip", "z", "gzip"}, {"x", "x", "gzip"}, {"bzip2", "j", "bzip2"}} {
		writes(fl, &f.format, c.format, c.name, c.short, "compress the output with "+c.format)
	}
	_ = fl.MarkHidden("x")
	fl.BoolVar(&f.keep, "keep-compression", false, "write the file as it is stored")
	positive(fl, &f.tar, "tar", "", "write up to `N` files from WAL on as a tar stream with checksums, as barman-wal-restore reads it")
	_ = fl.MarkHidden("tar")
	positive(fl, &f.peek, "peek", "p", "print the names of up to `N` files from WAL on that are there")
	fl.BoolVarP(&f.test, "test", "t", false, "only say whether WAL would be handed out")
	completeServers(a, cmd)
	return cmd
}

// exitBadWAL is the exit code of get-wal for a bad name or output.
const exitBadWAL = 3

func (s *server) getWAL(ctx context.Context, text string, o archive.GetOptions, dir string, peek int) error {
	suffix := sshSuffix()
	name, err := s.walName(text)
	if err != nil {
		return err
	}
	g := s.getter()
	if peek > 0 {
		names, err := g.Peek(name, peek)
		for _, n := range names {
			s.out.Print("%s", n)
		}
		return err
	}
	if dir == "" {
		s.log.Info("sending WAL", "server", s.Name, "wal", text)
		err = g.Send(ctx, name, o, s.stdout)
	} else {
		path := filepath.Join(dir, name.String())
		s.out.Info("Sending WAL '%s' for server '%s' into '%s' file%s", name, s.Name, path, suffix)
		err = g.SendFile(ctx, name, o, path)
		if errors.As(err, new(*os.PathError)) && !errors.Is(err, archive.ErrNotFound) {
			s.out.Error("Unable to open '%s' file%s: %s", path, suffix, err)
			s.out.SetExit(exitBadWAL)
			return errReported
		}
	}
	return s.reportMissing(text, err)
}

// getWALs writes several files as a tar stream.
func (s *server) getWALs(ctx context.Context, text string, n int, o archive.GetOptions) error {
	name, err := s.walName(text)
	if err != nil {
		return err
	}
	s.log.Info("sending WAL", "server", s.Name, "from", text, "at most", n)
	return s.reportMissing(text, s.getter().SendTar(ctx, name, n, o, s.stdout))
}

// walName reads the name of a WAL file; it reports one that is none.
func (s *server) walName(text string) (wal.FileName, error) {
	name, err := wal.ParseFileName(text)
	if err != nil {
		s.out.Error("'%s' is not a valid wal file name%s", text, sshSuffix())
		s.out.SetExit(exitBadWAL)
		return name, errReported
	}
	return name, nil
}

// reportMissing reports that a file is not there, if that is what err means.
func (s *server) reportMissing(text string, err error) error {
	if errors.Is(err, archive.ErrNotFound) {
		s.out.Error("WAL file '%s' not found in server '%s'%s", text, s.Name, sshSuffix())
		return errReported
	}
	return err
}

// sshSuffix names the host that called, for messages of get-wal.
func sshSuffix() string {
	if host := sshHost(); host != "" {
		return fmt.Sprintf(" (SSH host: %s)", host)
	}
	return ""
}
