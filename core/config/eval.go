package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// evalContext is what the expressions of one block in one file may refer to: barman.*, server.name, env() and file().
func (l *loader) evalContext(file *sourceFile, server string) *hcl.EvalContext {
	// The barman block changes what barman.* is while it is read; the attributes of a server all see the same.
	if server != "" && l.seen.file == file && l.seen.server == server {
		return l.seen.context
	}
	variables := map[string]cty.Value{"barman": cty.ObjectVal(l.barmanVars)}
	if server != "" {
		variables["server"] = cty.ObjectVal(map[string]cty.Value{"name": cty.StringVal(server)})
	}
	context := &hcl.EvalContext{
		Variables: variables,
		Functions: map[string]function.Function{
			"env":  envFunction(l.opts.Env),
			"file": fileFunction(filepath.Dir(file.path), l.opts.Home),
		},
	}
	l.seen = evaluated{file, server, context}
	return context
}

// evaluated is the block in a file whose expressions were computed last.
type evaluated struct {
	file    *sourceFile
	server  string
	context *hcl.EvalContext
}

// envFunction is env("NAME") and env("NAME", "default"). Without a default, a variable that is not set is an error: an
// empty password is a worse surprise.
func envFunction(lookup func(string) (string, bool)) function.Function {
	return function.New(&function.Spec{
		Description: "The value of an environment variable.",
		Params:      []function.Parameter{{Name: "name", Type: cty.String}},
		VarParam:    &function.Parameter{Name: "default", Type: cty.String},
		Type:        function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if len(args) > 2 {
				return cty.NilVal, function.NewArgErrorf(2, "env takes a name and at most one default")
			}
			name := args[0].AsString()
			if value, ok := lookup(name); ok {
				return cty.StringVal(value), nil
			}
			if len(args) == 2 {
				return args[1], nil
			}
			return cty.NilVal, function.NewArgErrorf(0, "environment variable %q is not set; set it, or give a default: env(%q, \"…\")", name, name)
		},
	})
}

// fileFunction is file("PATH"): the content of a file without one final newline, so that a file with one line can hold a
// secret. A relative path starts at the directory of the configuration file.
func fileFunction(dir, home string) function.Function {
	return function.New(&function.Spec{
		Description: "The content of a file.",
		Params:      []function.Parameter{{Name: "path", Type: cty.String}},
		Type:        function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			path := expandHome(args[0].AsString(), home)
			if !filepath.IsAbs(path) {
				path = filepath.Join(dir, path)
			}
			if info, err := os.Stat(path); err != nil {
				return cty.NilVal, function.NewArgError(0, err)
			} else if !info.Mode().IsRegular() {
				return cty.NilVal, function.NewArgErrorf(0, "%s is not a regular file", path)
			}
			data, err := readLimited(path)
			if err != nil {
				return cty.NilVal, function.NewArgError(0, err)
			}
			return cty.StringVal(strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")), nil
		},
	})
}

func expandHome(path, home string) string {
	if home != "" && (path == "~" || strings.HasPrefix(path, "~/")) {
		return filepath.Join(home, strings.TrimPrefix(path, "~"))
	}
	return path
}

// evaluate computes an expression. Loops are refused: a configuration is to be read top-down by a person in a hurry.
func evaluate(expr hclsyntax.Expression, ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	loops := hclsyntax.VisitAll(expr, func(node hclsyntax.Node) hcl.Diagnostics {
		if loop, ok := node.(*hclsyntax.ForExpr); ok {
			at := loop.Range()
			return hcl.Diagnostics{{
				Severity: hcl.DiagError, Summary: "Loops are not supported",
				Detail: "Write out the values.", Subject: &at,
			}}
		}
		return nil
	})
	if loops.HasErrors() {
		return cty.NilVal, loops
	}
	value, diags := expr.Value(ctx)
	if diags.HasErrors() {
		return cty.NilVal, diags
	}
	// No function here is marked or unknown today; a value that cannot be read must not get further.
	if !value.IsWhollyKnown() || value.ContainsMarked() {
		at := expr.Range()
		return cty.NilVal, hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Value is not known", Subject: &at}}
	}
	return value, nil
}

// given is a value as it was written: unset (null), a text, a list or a map. The others are nil or empty.
type given struct {
	null   bool
	text   string
	list   []string
	dict   map[string]string
	isBool bool
	isText bool
}

// String is the value as messages show it.
func (g given) String() string {
	switch {
	case g.null:
		return "null"
	case g.list != nil:
		return pythonList(g.list)
	case g.dict != nil:
		parts := make([]string, 0, len(g.dict))
		for _, k := range sortedKeys(g.dict) {
			parts = append(parts, k+":"+g.dict[k])
		}
		return strings.Join(parts, ", ")
	}
	return g.text
}

// givenFrom reads an HCL value. Numbers and booleans become their text form, so that one grammar serves both spellings.
func givenFrom(v cty.Value) (given, error) {
	switch t := v.Type(); {
	case v.IsNull():
		return given{null: true}, nil
	case t == cty.String:
		return given{text: v.AsString(), isText: true}, nil
	case t == cty.Bool:
		return given{text: fmt.Sprint(v.True()), isBool: true}, nil
	case t == cty.Number:
		return given{text: v.AsBigFloat().Text('f', -1)}, nil
	case t.IsTupleType() || t.IsListType() || t.IsSetType():
		g := given{list: []string{}}
		for it := v.ElementIterator(); it.Next(); {
			_, e := it.Element()
			s, err := primitiveText(e)
			if err != nil {
				return given{}, err
			}
			g.list = append(g.list, s)
		}
		return g, nil
	case t.IsObjectType() || t.IsMapType():
		g := given{dict: map[string]string{}}
		for it := v.ElementIterator(); it.Next(); {
			k, e := it.Element()
			s, err := primitiveText(e)
			if err != nil {
				return given{}, err
			}
			g.dict[k.AsString()] = s
		}
		return g, nil
	}
	return given{}, fmt.Errorf("a value of type %s is not accepted", v.Type().FriendlyName())
}

func primitiveText(v cty.Value) (string, error) {
	g, err := givenFrom(v)
	if err != nil {
		return "", err
	}
	if g.null || g.list != nil || g.dict != nil {
		return "", fmt.Errorf("an element is not a text or a number")
	}
	return g.text, nil
}

// variablesOf lists the attributes of barman.* that an expression refers to.
func variablesOf(vars []hcl.Traversal) []string {
	var names []string
	for _, t := range vars {
		if t.RootName() != "barman" || len(t) < 2 {
			continue
		}
		if step, ok := t[1].(hcl.TraverseAttr); ok && !slices.Contains(names, step.Name) {
			names = append(names, step.Name)
		}
	}
	return names
}
