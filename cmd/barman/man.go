//go:build man

package main

import (
	"os"

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
			return doc.GenManTree(cmd.Root(), header, args[0])
		},
	}
}
