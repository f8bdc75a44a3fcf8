package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// usageError is a mistake in the arguments: exit code 2.
type usageError struct{ error }

// usage makes the errors of an argument check usage errors that name the arguments as the command's usage line does.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if check(cmd, args) == nil {
			return nil
		}
		var names []string
		required := 0
		for _, word := range strings.Fields(cmd.Use)[1:] {
			switch {
			case word == "[options]":
				continue
			case !strings.HasPrefix(word, "["):
				required++
			}
			names = append(names, strings.TrimSuffix(word, "…"))
		}
		switch {
		case len(args) < required:
			return usageError{fmt.Errorf("the following arguments are required: %s", strings.Join(names[len(args):required], ", "))}
		case cmd.HasSubCommands():
			return usageError{unknownCommand(cmd, args[0])}
		}
		return usageError{fmt.Errorf("unrecognized arguments: %s", strings.Join(args[len(names):], " "))}
	}
}

// bounded is an integer option with a lower bound.
type bounded struct {
	n       *int
	minimum int
}

func (b bounded) String() string {
	if b.n == nil {
		return "0"
	}
	return strconv.Itoa(*b.n)
}
func (b bounded) Type() string { return "N" }
func (b bounded) Set(text string) error {
	n, err := strconv.Atoi(text)
	kind := "positive"
	if b.minimum == 0 {
		kind = "non negative"
	}
	switch {
	case err != nil && b.minimum > 0:
		return fmt.Errorf("'%s' is not a valid input", text)
	case err != nil || n < b.minimum:
		return fmt.Errorf("'%s' is not a valid %s integer", text, kind)
	}
	*b.n = n
	return nil
}

func nonNegative(fl *pflag.FlagSet, p *int, name, help string) { fl.Var(bounded{p, 0}, name, help) }
func positive(fl *pflag.FlagSet, p *int, name, short, help string) {
	fl.VarP(bounded{p, 1}, name, short, help)
}

// addCopyFlags are the options that backup and recover have in common.
func addCopyFlags(fl *pflag.FlagSet, times, sleep, jobs, size, period, bwlimit *int) {
	nonNegative(fl, times, "retry-times", "retry a failed copy `N` times")
	nonNegative(fl, sleep, "retry-sleep", "pause `SECONDS` before a retry")
	writes(fl, times, 0, "no-retry", "", "do not retry a failed copy")
	positive(fl, jobs, "jobs", "j", "copy with `N` processes at the same time")
	positive(fl, size, "jobs-start-batch-size", "", "start at most `N` processes per period")
	positive(fl, period, "jobs-start-batch-period", "", "the period, in `SECONDS`")
	nonNegative(fl, bwlimit, "bwlimit", "limit the copy to `KBPS` kilobytes per second in total; 0 is no limit")
}

// fixed is an option without a value that writes a fixed one. Several with one destination exclude each other, and the last one on the
// command line wins, whatever comes before it.
type fixed[T any] struct {
	to    *T
	value T
}

func (fixed[T]) String() string { return "false" }
func (fixed[T]) Type() string   { return "bool" }
func (f fixed[T]) Set(text string) error {
	if text != given {
		return errors.New("it takes no value")
	}
	*f.to = f.value
	return nil
}

// given is what pflag sets an option to that stands without a value.
const given = "true"

// writes adds an option that writes value.
func writes[T any](fl *pflag.FlagSet, to *T, value T, name, short, help string) {
	fl.VarPF(fixed[T]{to, value}, name, short, help).NoOptDefVal = given
}

// onOff adds the options --name and --no-name.
func onOff(fl *pflag.FlagSet, to *bool, name, on, off string) {
	writes(fl, to, true, name, "", on)
	writes(fl, to, false, "no-"+name, "", off)
}

// changed tells whether an option that addCopyFlags or onOff has added was given, in either form.
func changed(fl *pflag.FlagSet, name string) bool {
	return fl.Changed(name) || fl.Changed("no-"+name) || name == "retry-times" && fl.Changed("no-retry")
}

// choice is an option with a fixed set of values.
type choice struct {
	to      *string
	choices []string
}

func (c choice) String() string {
	if c.to == nil {
		return ""
	}
	return *c.to
}
func (choice) Type() string { return "string" }
func (c choice) Set(text string) error {
	if !slices.Contains(c.choices, text) {
		return fmt.Errorf("invalid choice %q (choose from %s)", text, strings.Join(c.choices, ", "))
	}
	*c.to = text
	return nil
}

func fileExists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// completeServers completes server names, and backup ids after the first argument of commands that take one.
func completeServers(a *app, cmd *cobra.Command) {
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if a.cfg == nil {
			if err := a.configure(); err != nil {
				return nil, cobra.ShellCompDirectiveError
			}
		}
		return append(a.cfg.ServerNames(), "all"), cobra.ShellCompDirectiveNoFileComp
	}
}

func completeBackups(a *app, cmd *cobra.Command) {
	completeServers(a, cmd)
	names := cmd.ValidArgsFunction
	cmd.ValidArgsFunction = func(c *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return names(c, args, word)
		}
		if len(args) > 1 {
			return nil, cobra.ShellCompDirectiveDefault
		}
		_, _ = names(c, args, word) // loads the configuration
		conf, ok := a.cfg.Server(args[0])
		if !ok {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ids := []string{"latest", "oldest", "last-failed", "latest-full"}
		if list, err := a.server(conf).catalog.List(); err == nil {
			for _, b := range list.All {
				ids = append(ids, b.ID)
			}
		}
		return ids, cobra.ShellCompDirectiveNoFileComp
	}
}
