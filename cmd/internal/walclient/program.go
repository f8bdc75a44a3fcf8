package walclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/barman-go/barman/cmd/internal/argparse"
)

// Exit codes of both clients.
const (
	// ExitLocal is a mistake in the arguments, or an error of this host.
	ExitLocal = 2
	// maxExit is the highest exit code that PostgreSQL takes for "not now".
	maxExit = 125
)

// compatible is the version of Barman whose clients these are.
const compatible = "3.17.0"

// ExitError ends a client with an exit code. Text is printed as an error unless it is empty.
type ExitError struct {
	Code int
	Text string
}

func (e *ExitError) Error() string { return e.Text }

// SignalError is the cause with which a client's context ends.
type SignalError struct{ Signal os.Signal }

func (e *SignalError) Error() string { return fmt.Sprintf("interrupted by signal (%v)", e.Signal) }

// Program is a client.
type Program struct {
	// Command is the command line; it has no subcommands. Its Version is set here.
	Command *cobra.Command
	// Version is that of the build.
	Version string
	// DiesBySIGTERM hands SIGTERM on to the parent: the program is ended by that signal instead of exit code 2.
	DiesBySIGTERM bool
}

// Main runs the program with the arguments and streams of this process, and ends the process.
func (p *Program) Main() {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() { cancel(&SignalError{<-signals}) }()
	code := p.Run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	var caught *SignalError
	if p.DiesBySIGTERM && errors.As(context.Cause(ctx), &caught) && caught.Signal == syscall.SIGTERM {
		signal.Reset(syscall.SIGTERM)
		_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
		time.Sleep(time.Second) // the signal comes before this ends
	}
	os.Exit(code)
}

// Run is the program: arguments in, exit code out.
func (p *Program) Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cmd := p.Command
	cmd.Version = fmt.Sprintf("%s %s Barman in Go, version %s", cmd.Name(), compatible, p.Version)
	cmd.SetVersionTemplate("{{.Version}}\n")
	cmd.SilenceErrors, cmd.SilenceUsage, cmd.DisableFlagsInUseLine = true, true, true
	cmd.CompletionOptions.HiddenDefaultCmd = true
	cmd.SetUsageTemplate(usageTemplate)
	cmd.Flags().BoolP("version", "V", false, "print the version")
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	addManual(cmd)

	expanded, _, err := argparse.Expand(cmd, args)
	if err != nil {
		err = usageError{err}
	} else {
		cmd.SetArgs(expanded)
		err = cmd.ExecuteContext(ctx)
	}
	var exit *ExitError
	var interrupted *SignalError
	switch {
	case err == nil:
		return 0
	case errors.As(err, new(usageError)):
		fmt.Fprintf(stderr, "usage: %s\n%s: error: %s\nTry '%s --help'.\n", cmd.UseLine(), cmd.Name(), err, cmd.Name())
		return ExitLocal
	case errors.As(context.Cause(ctx), &interrupted):
		fmt.Fprintf(stderr, "ERROR: %s\n", interrupted)
		return ExitLocal
	case errors.As(err, &exit):
		if exit.Text != "" {
			fmt.Fprintf(stderr, "ERROR: %s\n", exit.Text)
		}
		return exit.Code
	}
	fmt.Fprintf(stderr, "ERROR: %s\n", err)
	return ExitLocal
}

// usageError is a mistake in the arguments.
type usageError struct{ error }

// Positional wants exactly the named arguments.
func Positional(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return usageError{fmt.Errorf("the following arguments are required: %s", strings.Join(names[len(args):], ", "))}
		case len(args) > len(names):
			return usageError{fmt.Errorf("unrecognized arguments: %s", strings.Join(args[len(names):], " "))}
		}
		return nil
	}
}

// usageTemplate is cobra's for a program without subcommands, in Barman's words.
const usageTemplate = `Usage:
  {{.UseLine}}

Examples:
{{.Example}}

Options:
{{.LocalFlags.FlagUsagesWrapped 100 | trimTrailingWhitespaces}}
`
