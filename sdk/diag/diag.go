package diag

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"syscall"
)

// Severity tells whether the work can go on.
type Severity int

// Severities. The zero value counts as Error, so that a plugin need not write it.
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
	// CodeIO means that this host could not read or write a file, which says nothing about what is in it.
	CodeIO            = "io_error"
	CodeNotFound      = "not_found"
	CodeCorrupt       = "corrupt"
	CodeInvalidOption = "invalid_option"
	CodeCancelled     = "cancelled"
	// CodeProtocol means that host and plugin did not understand each other: a mistake in one of the programs.
	CodeProtocol = "protocol"
)

// sentinels are the errors of the standard library that a code stands for.
var sentinels = []struct {
	code string
	err  error
}{
	{CodeNotFound, fs.ErrNotExist},
	{CodeNoSpace, syscall.ENOSPC},
	{CodeNoSpace, syscall.EDQUOT},
	{CodeCancelled, context.Canceled},
	{CodeCancelled, context.DeadlineExceeded},
}

// Error returns the summary, followed by the detail if there is one.
func (d Diagnostic) Error() string {
	if d.Detail == "" {
		return d.Summary
	}
	return d.Summary + ": " + d.Detail
}

// Is makes errors.Is find the error of the standard library that the code stands for.
func (d Diagnostic) Is(target error) bool {
	for _, s := range sentinels {
		if d.Code == s.code {
			return target == s.err
		}
	}
	return false
}

// List is several diagnostics.
type List []Diagnostic

// HasErrors tells whether any diagnostic is an error.
func (l List) HasErrors() bool {
	for _, d := range l {
		if d.Severity != Warning {
			return true
		}
	}
	return false
}

// Err returns nil when the list holds no error, the diagnostic itself when it holds one, and otherwise an error that
// joins all of them, one per line.
func (l List) Err() error {
	var errs []error
	for _, d := range l {
		if d.Severity != Warning {
			errs = append(errs, d)
		}
	}
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

// FromError turns any error into a diagnostic. A Diagnostic in the error's chain keeps its code, attribute and
// retryability; the text is that of the whole chain. An error without one gets the code of the standard library's error
// in its chain, if there is a code for it.
func FromError(err error) Diagnostic {
	if err == nil {
		return Diagnostic{}
	}
	var d Diagnostic
	if !errors.As(err, &d) {
		return Diagnostic{Severity: Error, Summary: err.Error(), Code: codeOf(err)}
	}
	text := err.Error()
	if where, found := strings.CutSuffix(text, d.Error()); found {
		// The wrapping text says where it happened; keep it in front of the summary.
		d.Summary = where + d.Summary
	} else {
		d.Summary, d.Detail = text, ""
	}
	if d.Severity == 0 {
		d.Severity = Error
	}
	return d
}

// FromErrors is FromError for an error that may join several (errors.Join, List.Err): each becomes one diagnostic.
func FromErrors(err error) List {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var l List
		for _, e := range joined.Unwrap() {
			l = append(l, FromErrors(e)...)
		}
		return l
	}
	return List{FromError(err)}
}

func codeOf(err error) string {
	for _, s := range sentinels {
		if errors.Is(err, s.err) {
			return s.code
		}
	}
	return ""
}
