package config

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

// Change sets options of one server or model.
type Change struct {
	// Model tells that Name is a model; otherwise it is a server.
	Model bool
	Name  string
	// Options are values in text form, by name.
	Options map[string]string
}

// ChangeError is a change that is not made, because of the value of an option or because there is no such option.
type ChangeError struct {
	Model  bool
	Name   string
	Option string
	// Reason is empty when there is no such option.
	Reason string
}

// Error is Barman's message.
func (e *ChangeError) Error() string {
	kind := "server"
	if e.Model {
		kind = "model"
	}
	if e.Reason == "" {
		return fmt.Sprintf("Invalid option '%s' for %s '%s'", e.Option, kind, e.Name)
	}
	return fmt.Sprintf("Validation failed for %s '%s': key '%s' -> %s", kind, e.Name, e.Option, e.Reason)
}

// AutoPath is where config-update writes: see AutoFile.
func (g *Global) AutoPath() string { return filepath.Join(g.BarmanHome, AutoFile) }

// Update makes the text of AutoFile that has these changes, from the present one, and the configuration that it leads to. It
// writes nothing. A server or model that does not exist is added.
//
// Errors: *ChangeError; any mistake that would make a server unusable or end the program, when it was not there before.
func Update(opts LoadOptions, global *Global, changes []Change) (text []byte, changed *Config, err error) {
	for _, c := range changes {
		if err := c.check(); err != nil {
			return nil, nil, err
		}
	}
	old, err := readLimited(global.AutoPath())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	file, found := hclwrite.ParseConfig(old, global.AutoPath(), hcl.InitialPos)
	if found.HasErrors() {
		return nil, nil, fmt.Errorf("%s cannot be changed: %w", global.AutoPath(), found)
	}
	if len(old) == 0 {
		file.Body().AppendUnstructuredTokens(hclwrite.Tokens{{Bytes: []byte(
			"# Written by barman config-update. It is read after all other files; what stands here wins.\n")}})
	}
	for _, c := range changes {
		c.apply(file.Body())
	}
	text = hclwrite.Format(file.Bytes())
	_, before := Load(opts)
	opts.auto = text
	changed, after := Load(opts)
	if err := judge(before, after, changes); err != nil {
		return nil, nil, err
	}
	return text, changed, nil
}

// check looks for options that the block cannot have.
func (c Change) check() error {
	kind := c.kind()
	for _, name := range sortedKeys(c.Options) {
		if o, known := Lookup(name); !known || !o.allowedIn(kind) || o.Ignored || o.Fixed && kind == blockServer {
			return &ChangeError{Model: c.Model, Name: c.Name, Option: name}
		}
	}
	return nil
}

func (c Change) kind() blockKind {
	if c.Model {
		return blockModel
	}
	return blockServer
}

// apply sets the options in the block, which is added when there is none.
func (c Change) apply(body *hclwrite.Body) {
	kind := string(c.kind())
	block := body.FirstMatchingBlock(kind, []string{c.Name})
	if block == nil {
		body.AppendNewline()
		block = body.AppendNewBlock(kind, []string{c.Name})
	}
	for _, name := range sortedKeys(c.Options) {
		block.Body().SetAttributeValue(name, cty.StringVal(c.Options[name]))
	}
}

// judge returns the first mistake that the changes make: one about an option that is changed, or an error that was not there.
func judge(before, after Diagnostics, changes []Change) error {
	known := map[string]bool{}
	for _, d := range before {
		known[d.Summary] = true
	}
	for _, d := range after {
		i := slices.IndexFunc(changes, func(c Change) bool {
			_, set := c.Options[d.Option]
			return set && d.Block == (&section{kind: c.kind(), name: c.Name}).title()
		})
		if i >= 0 {
			_, reason, found := strings.Cut(d.Summary, "section: ")
			if !found {
				reason = d.Summary
			}
			return &ChangeError{Model: changes[i].Model, Name: changes[i].Name, Option: d.Option, Reason: reason}
		}
		if d.Severity != Warning && !known[d.Summary] {
			return d
		}
	}
	return nil
}
