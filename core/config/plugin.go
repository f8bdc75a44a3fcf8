package config

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// PluginBlock is what the configuration says about one plugin: a `plugin "compress" "zstd" { … }` block at the top
// level or in a server, or both laid over each other. Its options stay unread until DecodePlugin.
type PluginBlock struct {
	// Type is "transfer", "compress" or "hook".
	Type, Name string
	// Path is the absolute path of the executable, or empty to look for it.
	Path string
	// SHA256 pins the executable: 64 hexadecimal digits, or empty.
	SHA256 string
	// PassEnv are the names of environment variables that the plugin may see.
	PassEnv []string
	// Range is the header of the innermost block.
	Range Range

	// bodies are the config blocks, outermost first: later ones override attribute by attribute.
	bodies []pluginBody
	server string
}

// pluginBody is one unread config block and what its expressions may refer to.
type pluginBody struct {
	body   *hclsyntax.Body
	eval   *hcl.EvalContext
	source *sourceFile
	block  string
}
