// Package argparse gives cobra the habits of Python's argparse, which scripts that call Barman rely on: long options may be
// shortened to any unambiguous prefix, and an option whose value may be left out takes the next word unless that is an
// option.
//
//	barman backup --imm --reuse-backup off main
//	barman backup --immediate-checkpoint --reuse-backup=off main      what Expand makes of it
//
// It changes arguments before cobra sees them, and knows nothing of any command.
package argparse

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// abbreviations are prefixes that would be ambiguous, with the option they have always been understood to mean.
var abbreviations = map[string]string{
	"j":   "jobs",
	"job": "jobs",
}

// Expand replaces abbreviated long options (--immediate) by their full names (--immediate-checkpoint), as far as
// they are unambiguous for the command that the arguments name, and joins an option whose value may be left out with
// the value that follows it (--reuse-backup off). Everything after "--" stays as it is. It also returns the command, as
// far as it got to know it. The only error is an ambiguous prefix.
func Expand(root *cobra.Command, args []string) (out []string, cmd *cobra.Command, err error) {
	cmd = root
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			return append(out, args[i:]...), cmd, nil
		case strings.HasPrefix(arg, "--"):
			name, value, hasValue := strings.Cut(arg[2:], "=")
			flag, err := findFlag(cmd, name)
			if err != nil {
				return nil, cmd, err
			}
			if flag == nil {
				out = append(out, arg) // cobra says what is wrong with it
				continue
			}
			full := "--" + flag.Name
			if hasValue {
				full += "=" + value
			}
			out = append(out, full)
			if hasValue || i+1 == len(args) {
				continue
			}
			if flag.NoOptDefVal == "" {
				i++
				out = append(out, args[i])
			} else if _, ok := flag.Annotations[OptionalValue]; ok && !strings.HasPrefix(args[i+1], "-") {
				i++
				out[len(out)-1] = full + "=" + args[i]
			}
		case len(arg) > 1 && arg[0] == '-':
			out = append(out, arg)
			if takesValue(cmd, arg) && i+1 < len(args) {
				i++
				out = append(out, args[i])
			}
		default:
			if sub := Subcommand(cmd, arg); sub != nil {
				cmd = sub
			}
			out = append(out, arg)
		}
	}
	return out, cmd, nil
}

// OptionalValue is the annotation of an option whose value may be left out. As with argparse the next word is its value, even where the
// user means a server: a word that is no value is then an error, and nothing is done that was not asked for.
const OptionalValue = "barman_optional_value"

// findFlag returns the option that a name or prefix means, nil if there is none, or an error if there are several.
func findFlag(cmd *cobra.Command, name string) (*pflag.Flag, error) {
	cmd.InitDefaultHelpFlag()
	var matches []*pflag.Flag
	exact := false
	visit := func(f *pflag.Flag) {
		switch {
		case exact || slices.Contains(matches, f):
		case f.Name == name:
			matches, exact = []*pflag.Flag{f}, true
		case !f.Hidden && strings.HasPrefix(f.Name, name):
			matches = append(matches, f)
		}
	}
	cmd.LocalFlags().VisitAll(visit)
	cmd.InheritedFlags().VisitAll(visit)
	if len(matches) == 1 {
		return matches[0], nil
	}
	if len(matches) == 0 {
		return nil, nil
	}
	if want, ok := abbreviations[name]; ok {
		for _, f := range matches {
			if f.Name == want {
				return f, nil
			}
		}
	}
	names := make([]string, len(matches))
	for i, f := range matches {
		names[i] = "--" + f.Name
	}
	slices.Sort(names)
	return nil, fmt.Errorf("ambiguous option: --%s could match %s", name, strings.Join(names, ", "))
}

// takesValue tells whether the last letter of a group of short options expects the next argument as its value.
func takesValue(cmd *cobra.Command, group string) bool {
	letters := group[1:]
	for i := range len(letters) {
		f := cmd.Flags().ShorthandLookup(letters[i : i+1])
		if f == nil {
			f = cmd.InheritedFlags().ShorthandLookup(letters[i : i+1])
		}
		if f == nil {
			return false
		}
		if f.NoOptDefVal == "" {
			return i == len(letters)-1 // otherwise the rest of the group is the value
		}
	}
	return false
}

// Subcommand returns the command directly below cmd that has a name or alias, or nil.
func Subcommand(cmd *cobra.Command, name string) *cobra.Command {
	for _, c := range cmd.Commands() {
		if c.Name() == name || c.HasAlias(name) {
			return c
		}
	}
	return nil
}
