package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/barman-go/barman/cmd/internal/argparse"
	"github.com/barman-go/barman/core/report"
)

// Set by the linker.
var (
	version = "dev"
	// libexecDir is where an installed barman finds the plugins of its own build.
	libexecDir = ""
)

// compatible is the version of Barman whose behaviour, files and protocols these are. Hooks and passive nodes see it.
const compatible = "3.17.0"

// oneSignal is how long after the first signal another one means the same: timeout(1) sends each twice, and people press Ctrl-C twice. The
// first one asks for an orderly end, which may be held up by a hook that must run, or by a disk that hangs.
const oneSignal = 3 * time.Second

// gcPercent lets the heap grow to 16 MiB before garbage is collected, where Go would begin at 4 MiB. Most commands end before that, and
// are a fifth faster; what lives long in a process that copies or receives is a few MiB, of which this allows five times as much.
const gcPercent = 400

func main() {
	if args := os.Args[1:]; len(args) == 1 && (args[0] == "--version" || args[0] == "-v") {
		// Monitoring asks this all day; it needs none of what follows.
		if _, err := fmt.Fprintln(os.Stdout, versionText()); err != nil {
			os.Exit(report.ExitError)
		}
		return
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() {
		time.Sleep(oneSignal)
		stop() // whoever insists is obeyed: the signal has the effect again that it has on any program
	})
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program: arguments in, exit code out.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr}
	defer a.close()
	root := newRootCommand(a)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetIn(stdin)
	expanded, cmd, err := argparse.Expand(root, args)
	if err != nil {
		return failUsage(stderr, cmd, err)
	}
	root.SetArgs(expanded)
	cmd, err = root.ExecuteContextC(ctx)
	if errors.As(err, new(usageError)) {
		return failUsage(stderr, cmd, err)
	}
	if cmdCtx := cmd.Context(); cmdCtx != nil {
		ctx = cmdCtx
	}
	return a.finish(ctx, err)
}

func versionText() string { return fmt.Sprintf("%s Barman in Go, version %s", compatible, version) }

// failUsage explains a mistake in the arguments.
func failUsage(stderr io.Writer, cmd *cobra.Command, err error) int {
	fmt.Fprintf(stderr, "usage: %s\n%s: error: %s\nTry '%s --help'.\n", cmd.UseLine(), cmd.CommandPath(), err, cmd.CommandPath())
	return report.ExitUsage
}

func newRootCommand(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "barman [options] COMMAND",
		Short: "Backup and recovery manager for PostgreSQL",
		Long: `barman backs up many PostgreSQL servers from one host, archives their WAL, keeps a catalog with retention, and restores
any server to any point in time.

Long options may be shortened to any unambiguous prefix. SERVER may be a name or, where several are allowed, "all".
BACKUP_ID is an id, a name given with --name, or one of: latest, oldest, last-failed, latest-full.`,
		Example: `  barman check main
  barman backup --wait main
  barman list-backups all
  barman recover --target-time '2026-01-10 10:00:00+00' main latest /var/lib/postgresql/15/main`,
		SilenceUsage: true, SilenceErrors: true,
		Version:           versionText(),
		PersistentPreRunE: a.start,
		Args:              cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{unknownCommand(cmd, args[0])}
			}
			return cmd.Help()
		},
		Annotations: map[string]string{withoutConfig: "true"},
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	f := root.PersistentFlags()
	f.StringVarP(&a.flags.config, "config", "c", "", "configuration `FILE` (default: $BARMAN_CONFIG_FILE, ~/.barman.hcl, /etc/barman.hcl, /etc/barman/barman.hcl)")
	f.StringVar(&a.flags.color, "color", "auto", "colour the output `WHEN`: never, always or auto")
	f.StringVar(&a.flags.color, "colour", "auto", "the same as --color `WHEN`")
	_ = f.MarkHidden("colour")
	f.StringVar(&a.flags.logLevel, "log-level", "", "log from `LEVEL` on, whatever log_level says: NOTSET, DEBUG, INFO, WARNING, ERROR or CRITICAL")
	f.BoolVarP(&a.flags.quiet, "quiet", "q", false, "be quiet: print warnings and errors only")
	f.BoolVarP(&a.flags.debug, "debug", "d", false, "print debug messages")
	f.StringVarP(&a.flags.format, "format", "f", "console", "output `FORMAT`: console or json")
	root.Flags().BoolP("version", "v", false, "print the version")

	for _, group := range []struct {
		id, title string
		commands  []*cobra.Command
	}{
		{"backups", "Backups:", backupCommands(a)},
		{"wal", "WAL:", walCommands(a)},
		{"servers", "Servers:", serverCommands(a)},
		{"maintenance", "Maintenance:", maintenanceCommands(a)},
		{"configuration", "Configuration and plugins:", configurationCommands(a)},
	} {
		root.AddGroup(&cobra.Group{ID: group.id, Title: group.title})
		for _, c := range group.commands {
			c.GroupID = group.id
			root.AddCommand(c)
		}
	}
	root.SetHelpCommand(newHelpCommand())
	root.SetUsageTemplate(usageTemplate(root.UsageTemplate()))
	speakBarman(root)
	return root
}

// speakBarman gives a command and those below it the same manners.
func speakBarman(cmd *cobra.Command) {
	cmd.DisableFlagsInUseLine = true // usage lines say [options] themselves
	cmd.SuggestionsMinimumDistance = 2
	for _, c := range cmd.Commands() {
		speakBarman(c)
	}
}

// usageTemplate is cobra's, in Barman's words and in lines that fit a terminal.
func usageTemplate(cobras string) string {
	return strings.NewReplacer(
		"{{if .HasAvailableSubCommands}}\n  {{.CommandPath}} [command]{{end}}", "{{if not .Runnable}}\n  {{.CommandPath}} COMMAND{{end}}",
		"\nFlags:", "\nOptions:", "Global Flags:", "Global options:", "[command] --help", "COMMAND --help",
		".FlagUsages |", ".FlagUsagesWrapped 100 |",
	).Replace(cobras)
}

func newHelpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Explain a command",
		Example: "  barman help backup\n  barman help plugin list",

		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			about := cmd.Root()
			for _, name := range args {
				next := argparse.Subcommand(about, name)
				if next == nil {
					return usageError{unknownCommand(about, name)}
				}
				about = next
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}

func unknownCommand(cmd *cobra.Command, name string) error {
	text := fmt.Sprintf("unknown command %q", name)
	if near := cmd.SuggestionsFor(name); len(near) > 0 {
		text += fmt.Sprintf("; did you mean %q?", near[0])
	}
	return errors.New(text)
}
