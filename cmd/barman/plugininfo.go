package main

import (
	"fmt"
	"strings"

	"github.com/barman-go/barman/core/report"
	"github.com/barman-go/barman/sdk/plugin"
	"github.com/barman-go/barman/sdk/schema"
)

// pluginInfo is the output of plugin info.
type pluginInfo struct {
	plugin.Info
	options schema.Schema
}

// typeNames are what the types of options are called in a configuration.
var typeNames = map[schema.Type]string{
	schema.String: "string", schema.Integer: "integer", schema.Number: "number", schema.Bool: "boolean",
	schema.StringList: "list of strings", schema.StringMap: "map of strings",
}

func (i pluginInfo) Console(p *report.Printer) {
	p.Line("%s %s %s - %s", i.Type, i.Name, i.Version, i.Summary)
	p.Line("  Licence      : %s", i.License)
	p.Line("  Services     : %s", strings.Join(i.Services, ", "))
	if len(i.Capabilities) > 0 {
		p.Line("  Capabilities : %s", strings.Join(i.Capabilities, ", "))
	}
	for _, t := range i.Tools {
		need := "optional"
		if t.Required {
			need = "required"
		}
		p.Line("  Tool         : %s (%s)", strings.TrimSpace(t.Name+" "+t.MinimumVersion), need)
	}
	for _, o := range i.options {
		p.Line("")
		p.Line("  %s (%s)%s", o.Name, typeNames[o.Type], facts(o))
		if o.Help != "" {
			p.Line("      %s", o.Help)
		}
	}
}

func facts(o schema.Attribute) string {
	var words []string
	if o.Required {
		words = append(words, "required")
	}
	if o.Default != nil && !o.Sensitive {
		words = append(words, fmt.Sprintf("default %v", o.Default))
	}
	if len(o.Allowed) > 0 {
		words = append(words, "one of "+strings.Join(o.Allowed, ", "))
	}
	if o.Sensitive {
		words = append(words, "secret")
	}
	if o.Deprecated != "" {
		words = append(words, "deprecated: "+o.Deprecated)
	}
	if len(words) == 0 {
		return ""
	}
	return ": " + strings.Join(words, ", ")
}

func (i pluginInfo) JSON() map[string]any {
	options := []any{}
	for _, o := range i.options {
		option := map[string]any{"name": o.Name, "type": typeNames[o.Type], "required": o.Required, "help": o.Help, "sensitive": o.Sensitive}
		if o.Default != nil && !o.Sensitive {
			option["default"] = o.Default
		}
		options = append(options, option)
	}
	tools := []any{}
	for _, t := range i.Tools {
		tools = append(tools, map[string]any{"name": t.Name, "minimum_version": textOrNull(t.MinimumVersion), "required": t.Required})
	}
	return map[string]any{
		"type": i.Type, "name": i.Name, "version": i.Version, "summary": i.Summary, "license": i.License,
		"services": i.Services, "capabilities": i.Capabilities, "tools": tools, "options": options,
	}
}
