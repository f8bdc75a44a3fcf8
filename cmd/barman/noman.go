//go:build !man

package main

import "github.com/spf13/cobra"

// newManCommand is in builds with the tag "man" only.
func newManCommand(*app) *cobra.Command { return nil }
