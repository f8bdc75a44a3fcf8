package plugin

import (
	"context"

	"github.com/hashicorp/go-hclog"

	"github.com/barman-go/barman/sdk/compress"
	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/hook"
	"github.com/barman-go/barman/sdk/schema"
	"github.com/barman-go/barman/sdk/transfer"
)

// Definition is a whole plugin. Exactly one of Compress, Transfer and Hook is set, and decides the plugin's type.
type Definition struct {
	// Name is the word in the configuration, such as "zstd".
	Name string
	// Version is a semantic version without "v".
	Version string
	// Summary is one line for `barman plugin list`.
	Summary string
	// License is an SPDX expression.
	License string
	// Tools are the external programs it runs.
	Tools []Tool
	// Capabilities announce optional behaviour.
	Capabilities []string
	// Schema lists the options of its `config { }` block.
	Schema schema.Schema
	// Validate checks what the schema cannot say. Static: no network, no files. May be nil.
	Validate func(schema.Values) diag.List

	// Compress opens an instance of a compressor.
	Compress func(context.Context, Env) (compress.Compressor, error)
	// Transfer opens an instance of a transfer plugin: a transfer.FileCopier or a transfer.BackupTaker.
	Transfer func(context.Context, Env) (transfer.Transfer, error)
	// Hook opens an instance of a hook.
	Hook func(context.Context, Env) (hook.Hook, error)
}

// Tool is an external program that a plugin needs.
type Tool struct {
	Name string
	// MinimumVersion is empty when any version works.
	MinimumVersion string
	// Required is false when only some options need it.
	Required bool
}

// Env is what an instance is opened with.
type Env struct {
	// Config holds the options, complete and of the right types.
	Config schema.Values
	// Server is the server's name; empty for an instance that serves no single server.
	Server string
	// PathPrefix are absolute directories in which tools are looked for before PATH.
	PathPrefix []string
	// WorkDir is a private directory for temporary files; the host removes it after the run.
	WorkDir string
	// Log goes to Barman's log file, with the plugin's name and the server.
	Log hclog.Logger
}
