package main

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// widest is how long a line of help may be; beyond it, terminals wrap.
const widest = 140

// ourCommands returns barman and everything below it, except what cobra brings along.
func ourCommands() []*cobra.Command {
	var all []*cobra.Command
	var add func(cmd *cobra.Command)
	add = func(cmd *cobra.Command) {
		all = append(all, cmd)
		for _, c := range cmd.Commands() {
			add(c)
		}
	}
	add(newRootCommand(&app{stdin: strings.NewReader(""), stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}}))
	return all
}

func TestEveryCommandAndOptionIsExplained(t *testing.T) {
	for _, cmd := range ourCommands() {
		t.Run(cmd.CommandPath(), func(t *testing.T) {
			if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
				t.Errorf("Short %q: want a line without a full stop", cmd.Short)
			}
			for example := range strings.Lines(cmd.Example) {
				if !strings.HasPrefix(example, "  ") {
					t.Errorf("example %q is not indented", example)
				}
			}
			if !strings.Contains(cmd.Example, cmd.Root().Name()) || cmd.HasParent() && !strings.Contains(cmd.Example, " "+cmd.Name()) {
				t.Errorf("Example %q does not show the command", cmd.Example)
			}
			cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
				if name, help := pflag.UnquoteUsage(f); help == "" {
					t.Errorf("--%s has no help", f.Name)
				} else if name == "string" || name == "int" {
					t.Errorf("--%s: the help does not name the value", f.Name)
				}
			})
		})
	}
}

func TestExamplesAreValidCommandLines(t *testing.T) {
	for _, cmd := range ourCommands() {
		for line := range strings.Lines(cmd.Example) {
			_, command, _ := strings.Cut(line, "barman ")
			if strings.Contains(line, "/usr/bin/barman") {
				_, command, _ = strings.Cut(line, "/usr/bin/barman ") // a crontab
			}
			command, _, _ = strings.Cut(command, " > ")
			command, _, _ = strings.Cut(command, " < ")
			command, _, _ = strings.Cut(command, " | ")
			if err := parseOnly(command); err != nil {
				t.Errorf("%s: example %q: %v", cmd.CommandPath(), strings.TrimSpace(line), err)
			}
		}
	}
}

func TestHelpShowsUsageAndExampleInLinesThatFit(t *testing.T) {
	for _, cmd := range ourCommands() {
		words := strings.Fields(cmd.CommandPath())[1:]
		var out, errs bytes.Buffer
		if code := run(t.Context(), append([]string{"help"}, words...), strings.NewReader(""), &out, &errs); code != 0 || errs.Len() > 0 {
			t.Errorf("help %v: exit code %d, %s", words, code, &errs)
		}
		help := out.String()
		if !strings.Contains(help, "\nUsage:\n  "+strings.TrimSpace(cmd.UseLine())+"\n") || !strings.Contains(help, "\nExamples:\n") {
			t.Errorf("help %v shows no usage or no example:\n%s", words, help)
		}
		for line := range strings.Lines(help) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > widest {
				t.Errorf("help %v: a line has %d characters: %s", words, n, line)
			}
		}
	}
}
