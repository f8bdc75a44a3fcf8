package config

import (
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/schema"
)

// DecodePlugin reads the options of a plugin against its schema. The values are complete: defaults are filled in, each
// of the Go type that belongs to its schema.Type. A nil block gives the defaults, and errors for required options.
// With an error among the diagnostics the values must not be used. No diagnostic shows the value of a sensitive option.
func DecodePlugin(block *PluginBlock, s schema.Schema) (schema.Values, Diagnostics) {
	var diags Diagnostics
	values := schema.Values{}
	given := map[string]bool{}
	if block != nil {
		for _, b := range block.bodies {
			diags = append(diags, b.decode(block, s, values, given)...)
		}
	}
	for _, a := range s {
		if given[a.Name] {
			continue
		}
		if a.Required {
			diags = append(diags, block.missing(a.Name))
		} else if a.Default != nil {
			values[a.Name] = a.Default
		}
	}
	return values, diags
}

// missing is the diagnostic about a required option.
func (p *PluginBlock) missing(name string) Diagnostic {
	d := Diagnostic{
		Severity: Error, Summary: fmt.Sprintf("Required option %q is missing", name), Option: name,
		Detail: "Add it to the plugin's: config { … }",
	}
	if p == nil {
		return d
	}
	d.Server, d.Range = p.Server, p.Range
	d.Summary = fmt.Sprintf("Required option %q of %s plugin %q is missing", name, p.Type, p.Name)
	if n := len(p.bodies); n > 0 {
		b := p.bodies[n-1]
		d.Block, d.Range = b.block, rangeOf(b.body.SrcRange)
		// Only where the block begins: the range of the body covers all its lines.
		d.Range.EndLine, d.Range.EndColumn = d.Range.Line, d.Range.Column
	}
	return d
}

// decode reads one config block into values.
func (b pluginBody) decode(block *PluginBlock, s schema.Schema, values schema.Values, given map[string]bool) Diagnostics {
	var diags Diagnostics
	add := func(ds ...Diagnostic) {
		for _, d := range ds {
			d.Server, d.Block = block.Server, b.block
			diags = append(diags, d)
		}
	}
	for _, nested := range b.body.Blocks {
		d := b.file.diagnostic(Error, nested.DefRange(), "Unknown block %q", nested.Type)
		d.Detail = "A map is written with an equals sign: " + nested.Type + " = { … }"
		d.Snippet = "" // its values may be secret
		add(d)
	}
	attrs := make([]*hclsyntax.Attribute, 0, len(b.body.Attributes))
	for _, attr := range b.body.Attributes {
		attrs = append(attrs, attr)
	}
	slices.SortFunc(attrs, func(x, y *hclsyntax.Attribute) int { return x.SrcRange.Start.Byte - y.SrcRange.Start.Byte })
	for _, attr := range attrs {
		i := slices.IndexFunc(s, func(a schema.Attribute) bool { return a.Name == attr.Name })
		if i < 0 {
			add(b.unknown(block, s, attr))
			continue
		}
		a := s[i]
		value, found := b.value(a, attr)
		if found != nil {
			given[a.Name] = true // not missing as well
			add(found...)
			continue
		}
		if value == nil {
			continue
		}
		given[a.Name] = true
		values[a.Name] = value
		if a.Deprecated != "" {
			d := b.file.diagnostic(Warning, attr.NameRange, "Option %q of %s plugin %q is deprecated", a.Name, block.Type, block.Name)
			d.Detail, d.Option = a.Deprecated, a.Name
			add(b.discreet(a, d))
		}
	}
	return diags
}

// unknown is the diagnostic about an option that the plugin does not have. It might be a misspelt sensitive one, so the
// line is not shown.
func (b pluginBody) unknown(block *PluginBlock, s schema.Schema, attr *hclsyntax.Attribute) Diagnostic {
	var names []string
	for _, a := range s {
		names = append(names, a.Name)
	}
	d := Diagnostic{
		Severity: Error, Summary: fmt.Sprintf("Unknown option %q of %s plugin %q", attr.Name, block.Type, block.Name),
		Range: rangeOf(attr.NameRange), Option: attr.Name, Suggestion: nearest(attr.Name, names),
	}
	switch {
	case len(names) == 0:
		d.Detail = "The plugin has no options."
	case d.Suggestion == "":
		d.Detail = "Its options are: " + strings.Join(names, ", ")
	}
	return d
}

// discreet removes the line from a diagnostic about a sensitive option.
func (b pluginBody) discreet(a schema.Attribute, d Diagnostic) Diagnostic {
	d.Option = a.Name
	if a.Sensitive {
		d.Snippet = ""
	}
	return d
}

// value computes one option. Nil without diagnostics: null was written, the default applies.
func (b pluginBody) value(a schema.Attribute, attr *hclsyntax.Attribute) (any, Diagnostics) {
	v, found := evaluate(attr.Expr, b.eval)
	if found.HasErrors() {
		ds := b.file.fromHCL(Error, found)
		for i := range ds {
			ds[i] = b.discreet(a, ds[i])
		}
		return nil, ds
	}
	fail := func(format string, args ...any) (any, Diagnostics) {
		return nil, Diagnostics{b.discreet(a, b.file.diagnostic(Error, attr.Expr.Range(), format, args...))}
	}
	if v.IsNull() {
		return nil, nil
	}
	value, problem := convertValue(a.Type, v)
	if problem != "" {
		return fail("Option %q must be %s", a.Name, problem)
	}
	if text, ok := value.(string); ok && len(a.Allowed) > 0 && !slices.Contains(a.Allowed, text) {
		out, ds := fail("Option %q must be one of %s", a.Name, choiceText(a.Allowed))
		if !a.Sensitive {
			ds[0].Suggestion = nearest(text, a.Allowed)
		}
		return out, ds
	}
	return value, nil
}

// convertValue turns an HCL value into the Go type of a schema type. The problem, if any, says what is wanted and never
// what was found.
func convertValue(t schema.Type, v cty.Value) (value any, problem string) {
	switch t {
	case schema.String:
		if c, err := convert.Convert(v, cty.String); err == nil {
			return c.AsString(), ""
		}
		return nil, "a text"
	case schema.Bool:
		if c, err := convert.Convert(v, cty.Bool); err == nil {
			return c.True(), ""
		}
		return nil, "true or false"
	case schema.Integer:
		if c, err := convert.Convert(v, cty.Number); err == nil {
			if n, accuracy := c.AsBigFloat().Int64(); accuracy == big.Exact {
				return int(n), ""
			}
		}
		return nil, "a whole number"
	case schema.Number:
		if c, err := convert.Convert(v, cty.Number); err == nil {
			f, _ := c.AsBigFloat().Float64()
			return f, ""
		}
		return nil, "a number"
	case schema.StringList:
		if c, err := convert.Convert(v, cty.List(cty.String)); err == nil && !hasNull(c) {
			out := []string{}
			for it := c.ElementIterator(); it.Next(); {
				_, e := it.Element()
				out = append(out, e.AsString())
			}
			return out, ""
		}
		return nil, "a list of texts"
	case schema.StringMap:
		if c, err := convert.Convert(v, cty.Map(cty.String)); err == nil && !hasNull(c) {
			out := map[string]string{}
			for it := c.ElementIterator(); it.Next(); {
				k, e := it.Element()
				out[k.AsString()] = e.AsString()
			}
			return out, ""
		}
		return nil, "a map of texts"
	}
	return nil, "of a type that this version of Barman knows"
}

func hasNull(v cty.Value) bool {
	for it := v.ElementIterator(); it.Next(); {
		if _, e := it.Element(); e.IsNull() {
			return true
		}
	}
	return false
}

// PluginDiagnostics turns what a plugin found in its options into diagnostics that point at the configuration file. The
// schema tells which lines may be shown; the block may be nil.
func PluginDiagnostics(block *PluginBlock, s schema.Schema, found diag.List) Diagnostics {
	var out Diagnostics
	for _, f := range found {
		d := Diagnostic{Severity: Error, Summary: f.Summary, Detail: f.Detail, Option: f.Attribute}
		if f.Severity == diag.Warning {
			d.Severity = Warning
		}
		if block != nil {
			d.Server, d.Range = block.Server, block.Range
			block.locate(s, &d)
		}
		out = append(out, d)
	}
	return out
}

// locate points a diagnostic at the place where its option is written, if it is.
func (p *PluginBlock) locate(s schema.Schema, d *Diagnostic) {
	for _, b := range slices.Backward(p.bodies) {
		d.Block = b.block
		attr, ok := b.body.Attributes[d.Option]
		if !ok {
			continue
		}
		at := b.file.diagnostic(d.Severity, attr.SrcRange, "")
		d.Range, d.Snippet, d.masked = at.Range, at.Snippet, at.masked
		if slices.ContainsFunc(s, func(a schema.Attribute) bool { return a.Name == d.Option && a.Sensitive }) {
			d.Snippet = ""
		}
		return
	}
}
