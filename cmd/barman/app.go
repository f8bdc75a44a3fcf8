package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/barman-go/barman/core/config"
	"github.com/barman-go/barman/core/pluginhost"
	"github.com/barman-go/barman/core/report"
)

// withoutConfig is the annotation of commands that work without a configuration.
const withoutConfig = "barman_without_config"

// app is what the commands of one run share.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	flags          struct {
		config, color, logLevel, format string
		quiet, debug                    bool
	}
	cfg *config.Config
	// warnings about servers that were not used yet.
	warnings config.Diagnostics

	out *report.Writer
	log hclog.Logger
	// logFile is where log writes, if that is a file.
	logFile *logFile
	host    *pluginhost.Host
	// closers end what was opened, in reverse order.
	closers []func()
}

// fatal is an error before the writer exists or beside it; it is printed as it is.
type fatal struct{ text string }

func (f fatal) Error() string { return f.text }

// start prepares a run: configuration, user, log, writer.
func (a *app) start(cmd *cobra.Command, _ []string) error {
	if !oneOf(a.flags.format, "console", "json") {
		return usageError{fmt.Errorf("invalid choice %q for --format (choose from console, json)", a.flags.format)}
	}
	if !oneOf(a.flags.color, "never", "always", "auto") {
		return usageError{fmt.Errorf("invalid choice %q for --color (choose from never, always, auto)", a.flags.color)}
	}
	if !oneOf(a.flags.logLevel, "", "NOTSET", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL") {
		return usageError{fmt.Errorf("invalid choice %q for --log-level (choose from NOTSET, DEBUG, INFO, WARNING, ERROR, CRITICAL)", a.flags.logLevel)}
	}
	a.log = hclog.NewNullLogger()
	if _, ok := cmd.Annotations[withoutConfig]; ok || isBuiltin(cmd) {
		a.out = a.writer()
		return nil
	}
	if err := a.configure(); err != nil {
		return err
	}
	a.watchHangup(cmd)
	return nil
}

// isBuiltin tells cobra's own commands: help and completion.
func isBuiltin(cmd *cobra.Command) bool {
	for c := cmd; c != nil; c = c.Parent() {
		if c.Name() == "help" || c.Name() == "completion" || strings.HasPrefix(c.Name(), cobra.ShellCompRequestCmd) {
			return true
		}
	}
	return false
}

func oneOf(s string, choices ...string) bool {
	for _, c := range choices {
		if s == c {
			return true
		}
	}
	return false
}

// configure loads the configuration and reports its mistakes.
func (a *app) configure() error {
	cfg, found := config.Load(config.LoadOptions{Path: a.flags.config})
	if found.Fatal() {
		return fatal{renderDiagnostics(found, false)}
	}
	a.cfg = cfg
	if err := becomeUser(cfg.Global.BarmanUser); err != nil {
		return fatal{err.Error()}
	}
	problem := a.openLog()
	a.out = a.writer()
	if problem != nil {
		a.out.Warning("%s", problem)
	}
	for _, d := range found {
		switch {
		case d.LogOnly:
			a.log.Warn(d.Summary, "file", d.Range.File, "line", d.Range.Line)
		case d.Server == "":
			a.out.Warning("%s", d.Summary)
		case d.Severity == config.Warning:
			a.warnings = append(a.warnings, d)
		}
	}
	return nil
}

// warn prints the warnings about a server, when it is first used; the commands for other servers stay silent about it.
func (a *app) warn(server string) {
	a.warnings = slices.DeleteFunc(a.warnings, func(d config.Diagnostic) bool {
		if d.Server == server {
			a.out.Warning("%s", d.Summary)
		}
		return d.Server == server
	})
}

func renderDiagnostics(found config.Diagnostics, color bool) string {
	var b strings.Builder
	_ = found.Visible().Render(&b, color)
	return strings.TrimRight(b.String(), "\n")
}

func (a *app) writer() *report.Writer {
	return report.New(report.Options{
		JSON: a.flags.format == "json", Stdout: a.stdout, Stderr: a.stderr, Color: a.colored(),
		Quiet: a.flags.quiet, Debug: a.flags.debug, Log: a.log,
	})
}

func (a *app) colored() bool {
	switch a.flags.color {
	case "always":
		return true
	case "never":
		return false
	}
	return isTerminal(a.stdout) && isTerminal(a.stderr)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// labelled is the app for one of several subjects that are worked on at the same time: its messages begin with the name.
func (a *app) labelled(name string) *app {
	own := *a
	own.out = a.out.Labelled(name)
	return &own
}

// plugins returns the host of plugins; none is started by that.
func (a *app) plugins() *pluginhost.Host {
	if a.host == nil {
		options := pluginhost.Options{BundledDir: pluginhost.DefaultBundledDir(libexecDir), Log: a.log.Named("plugin")}
		if a.cfg != nil {
			options.GlobalPathPrefix = a.cfg.Global.PathPrefix
			for _, p := range a.cfg.Plugins {
				options.PassEnv = append(options.PassEnv, p.PassEnv...)
			}
		}
		a.host = pluginhost.New(options)
		a.closers = append(a.closers, func() { _ = a.host.Close() })
	}
	return a.host
}

// finish turns the end of a command into an exit code.
func (a *app) finish(ctx context.Context, err error) int {
	var f fatal
	if errors.As(err, &f) {
		fmt.Fprintln(a.stderr, f.text)
		return report.ExitError
	}
	if a.out == nil {
		a.out = a.writer()
	}
	switch {
	case err == nil, errors.Is(err, errReported):
	case ctx.Err() != nil:
		a.out.Error("Process interrupted by user (KeyboardInterrupt)")
	default:
		a.out.Error("%s", err)
	}
	if errors.Is(err, errReported) && !a.out.Failed() {
		a.out.SetExit(report.ExitError)
	}
	code, werr := a.out.Close()
	if werr != nil {
		fmt.Fprintf(a.stderr, "ERROR: cannot write the output: %s\n", werr)
		return report.ExitError
	}
	return code
}

// errReported ends a command whose failure the user has been told about.
var errReported = errors.New("reported")

func (a *app) close() {
	for i := len(a.closers) - 1; i >= 0; i-- {
		a.closers[i]()
	}
}

func now() time.Time { return time.Now() }
