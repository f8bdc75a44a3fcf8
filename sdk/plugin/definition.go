package plugin

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/barman-go/barman/sdk/compress"
	"github.com/barman-go/barman/sdk/hook"
	pluginv1 "github.com/barman-go/barman/sdk/pb/barman/plugin/v1"
	"github.com/barman-go/barman/sdk/transfer"
)

// What is checked once, in the author's process, is compiled there: every command of barman links this package.
const (
	validName    = `^[a-z0-9][a-z0-9_-]*$`
	validVersion = `^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`
)

// Type returns "compress", "transfer" or "hook", or "" unless exactly one of the functions is set.
func (d Definition) Type() string {
	found, typ := 0, ""
	for _, c := range []struct {
		typ string
		set bool
	}{{TypeCompress, d.Compress != nil}, {TypeTransfer, d.Transfer != nil}, {TypeHook, d.Hook != nil}} {
		if c.set {
			found, typ = found+1, c.typ
		}
	}
	if found != 1 {
		return ""
	}
	return typ
}

// Executable returns the file name that the host looks for.
func (d Definition) Executable() string { return ExecutableName(d.Type(), d.Name) }

// Check looks for mistakes of the author and returns all of them joined.
func (d Definition) Check() error {
	var errs []error
	if d.Type() == "" {
		errs = append(errs, errors.New("exactly one of Compress, Transfer and Hook must be set"))
	}
	if !regexp.MustCompile(validName).MatchString(d.Name) {
		errs = append(errs, fmt.Errorf("name %q must be lower-case letters, digits, - and _", d.Name))
	}
	if !regexp.MustCompile(validVersion).MatchString(d.Version) {
		errs = append(errs, fmt.Errorf("version %q is not a semantic version such as 1.0.0", d.Version))
	}
	if d.Summary == "" {
		errs = append(errs, errors.New("summary is empty"))
	}
	return errors.Join(append(errs, d.Schema.Check())...)
}

func (d Definition) info() *pluginv1.GetInfoResponse {
	info := &pluginv1.GetInfoResponse{
		Type: d.Type(), Name: d.Name, Version: d.Version, Summary: d.Summary, License: d.License, Capabilities: d.Capabilities,
	}
	switch d.Type() {
	case TypeCompress:
		info.Services = []string{compress.ServiceName}
	case TypeTransfer:
		info.Services = []string{transfer.ServiceName}
	case TypeHook:
		info.Services = []string{hook.ServiceName}
	}
	for _, t := range d.Tools {
		info.Tools = append(info.Tools, &pluginv1.Tool{Name: t.Name, MinimumVersion: t.MinimumVersion, Required: t.Required})
	}
	return info
}
