//go:build man

package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// newManCommand writes the manual pages, for packagers. Only builds with the tag "man" have it: what it needs would cost every
// start of barman a tenth of its time.
func newManCommand(*app) *cobra.Command {
	return &cobra.Command{
		Use:         "man DIR",
		Short:       "Write the manual pages into a directory",
		Hidden:      true,
		Args:        usage(cobra.ExactArgs(1)),
		Annotations: map[string]string{withoutConfig: "true"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			header := &doc.GenManHeader{Section: "1", Source: "barman " + version, Manual: "barman"}
			if err := doc.GenManTree(cmd.Root(), header, args[0]); err != nil {
				return err
			}
			return writeAliasPages(cmd.Root(), args[0])
		},
	}
}

// writeAliasPages writes a page for each other name of a command, which shows the page of the command: barman-restore.1.
func writeAliasPages(root *cobra.Command, dir string) error {
	for _, c := range root.Commands() {
		if !c.IsAvailableCommand() {
			continue
		}
		for _, alias := range c.Aliases {
			page := fmt.Sprintf(".so man1/barman-%s.1\n", c.Name())
			if err := os.WriteFile(filepath.Join(dir, "barman-"+alias+".1"), []byte(page), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}
