//go:build !man

package walclient

import "github.com/spf13/cobra"

// addManual is for builds with the tag "man".
func addManual(*cobra.Command) {}
