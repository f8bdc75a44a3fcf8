//go:build man

package walclient

import (
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// addManual adds the command "man DIR", which writes the manual page, for packagers; cobra adds "completion". Only builds with
// the tag "man" have them, where the first argument cannot be a host.
func addManual(cmd *cobra.Command) {
	cmd.AddCommand(&cobra.Command{
		Use:    "man DIR",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			header := &doc.GenManHeader{Section: "1", Source: cmd.Version, Manual: "barman"}
			return doc.GenManTree(cmd, header, args[0])
		},
	})
}
