// Package diag holds what a plugin wants a person to know: diagnostics.
//
// A diagnostic is data, not text: it has a severity, one line of summary, a detail that says what to do next, the
// option it is about, and a stable code for programs. Plugins return diagnostics as errors; the host renders them once,
// pointing at the place in the configuration file where that is possible.
package diag

import (
	"errors"
	"strings"
)

// Severity tells whether the work can go on.
type Severity int

// Severities.
const (
	Error Severity = iota + 1
	Warning
)

// Diagnostic is one finding. It is an error, so that plugin code can return it with fmt.Errorf("…: %w", d) around it.
type Diagnostic struct {
	Severity Severity
	// Summary is one line, lower case, without a final period.
	Summary string
	// Detail says what was found and what to do next. It may hold several lines or be empty.
	Detail string
	// Attribute is the name of the plugin option it is about, or empty.
	Attribute string
	// Code is a stable word for programs, such as CodeToolMissing, or empty.
	Code string
	// Retryable means that the same call may succeed later without anybody changing anything.
	Retryable bool
}

// Codes that core knows about.
const (
	CodeToolMissing      = "tool_missing"
	CodeToolFailed       = "tool_failed"
	CodeConnectionFailed = "connection_failed"
	CodeNoSpace          = "no_space"
	CodeNotFound         = "not_found"
	CodeCorrupt          = "corrupt"
	CodeInvalidOption    = "invalid_option"
	CodeCancelled        = "cancelled"
)

// Error returns the summary, followed by the detail if there is one.
func (d Diagnostic) Error() string {
	if d.Detail == "" {
		return d.Summary
	}
	return d.Summary + ": " + d.Detail
}

// List is several diagnostics.
type List []Diagnostic

// HasErrors tells whether any diagnostic has severity Error.
func (l List) HasErrors() bool {
	for _, d := range l {
		if d.Severity == Error {
			return true
		}
	}
	return false
}

// Err returns nil when the list holds no error, and otherwise an error with the texts of all errors.
func (l List) Err() error {
	var errs []error
	for _, d := range l {
		if d.Severity == Error {
			errs = append(errs, d)
		}
	}
	return errors.Join(errs...)
}

// FromError turns any error into a diagnostic. A Diagnostic in the error's chain keeps its code, attribute and
// retryability; the text is that of the whole chain.
func FromError(err error) Diagnostic {
	if err == nil {
		return Diagnostic{}
	}
	var d Diagnostic
	if errors.As(err, &d) {
		if text := err.Error(); text != d.Error() {
			// The wrapping text says where it happened; keep it in front of the summary.
			d.Summary = strings.TrimSuffix(strings.TrimSuffix(text, d.Error()), ": ") + ": " + d.Summary
		}
		if d.Severity == 0 {
			d.Severity = Error
		}
		return d
	}
	return Diagnostic{Severity: Error, Summary: err.Error()}
}
