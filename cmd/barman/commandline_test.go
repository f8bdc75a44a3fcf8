package main

import (
	"bytes"
	"errors"
	"strings"

	"github.com/google/shlex"
	"github.com/spf13/cobra"

	"github.com/barman-go/barman/cmd/internal/argparse"
)

// parseOnly takes a command line, without "barman", as far as its arguments are concerned: the command exists, it has the
// options, and the number of arguments is right. Nothing is run.
func parseOnly(line string) error {
	words, err := shlex.Split(line)
	if err != nil {
		return err
	}
	if len(words) == 1 && (words[0] == "--version" || words[0] == "-v") {
		return nil
	}
	root := newRootCommand(&app{stdin: strings.NewReader(""), stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}})
	words, _, err = argparse.Expand(root, words)
	if err != nil {
		return err
	}
	cmd, rest, err := root.Find(words)
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	if cmd == root && cmd.Flags().NArg() > 0 {
		return unknownCommand(cmd, cmd.Flags().Arg(0))
	}
	if !runnable(cmd) {
		return errors.New("there is no such command")
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}

func runnable(cmd *cobra.Command) bool { return cmd.Run != nil || cmd.RunE != nil }
