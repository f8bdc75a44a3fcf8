package wire

import (
	"errors"

	"github.com/barman-go/barman/sdk/diag"
	pluginv1 "github.com/barman-go/barman/sdk/pb/barman/plugin/v1"
	"github.com/barman-go/barman/sdk/toolexec"
)

// Diagnostics turns an error of plugin code into what a response carries; nil gives none.
func Diagnostics(err error) []*pluginv1.Diagnostic {
	return FromList(diagnose(err))
}

// Diagnostic is Diagnostics for a message that carries exactly one.
func Diagnostic(err error) *pluginv1.Diagnostic {
	d := diag.FromError(err)
	if d.Code == "" {
		d.Code = toolCode(err)
	}
	return fromOne(d)
}

func diagnose(err error) diag.List {
	list := diag.FromErrors(err)
	if len(list) == 1 && list[0].Code == "" {
		list[0].Code = toolCode(err)
	}
	return list
}

// toolCode gives the errors of toolexec their codes, so that plugin code can return them as they are.
func toolCode(err error) string {
	var exit *toolexec.ExitError
	switch {
	case errors.Is(err, toolexec.ErrNotFound):
		return diag.CodeToolMissing
	case errors.As(err, &exit):
		return diag.CodeToolFailed
	}
	return ""
}

// FromList turns diagnostics into their wire form.
func FromList(l diag.List) []*pluginv1.Diagnostic {
	var out []*pluginv1.Diagnostic
	for _, d := range l {
		out = append(out, fromOne(d))
	}
	return out
}

func fromOne(d diag.Diagnostic) *pluginv1.Diagnostic {
	severity := pluginv1.Diagnostic_SEVERITY_ERROR
	if d.Severity == diag.Warning {
		severity = pluginv1.Diagnostic_SEVERITY_WARNING
	}
	return &pluginv1.Diagnostic{
		Severity: severity, Summary: d.Summary, Detail: d.Detail, Attribute: d.Attribute, Code: d.Code, Retryable: d.Retryable,
	}
}

// ToList turns the wire form into diagnostics. An unknown severity is an error: better stop than go on by mistake.
func ToList(in []*pluginv1.Diagnostic) diag.List {
	var out diag.List
	for _, d := range in {
		out = append(out, ToDiagnostic(d))
	}
	return out
}

// ToDiagnostic is ToList for one; the terminal message of a stream carries one.
func ToDiagnostic(d *pluginv1.Diagnostic) diag.Diagnostic {
	severity := diag.Error
	if d.GetSeverity() == pluginv1.Diagnostic_SEVERITY_WARNING {
		severity = diag.Warning
	}
	return diag.Diagnostic{
		Severity: severity, Summary: d.GetSummary(), Detail: d.GetDetail(), Attribute: d.GetAttribute(),
		Code: d.GetCode(), Retryable: d.GetRetryable(),
	}
}

// Err returns the errors among diagnostics, or nil.
func Err(in []*pluginv1.Diagnostic) error { return ToList(in).Err() }
