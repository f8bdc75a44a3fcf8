package pluginhost

import (
	"errors"
	"fmt"
	"strings"

	"github.com/barman-go/barman/sdk/diag"
)

var errClosed = errors.New("plugins are closed down")

// Candidate is a file that looked like the plugin and was not taken.
type Candidate struct {
	Path string
	// Reason says why, and where possible how to repair it.
	Reason string
}

// NotFoundError means that no trusted executable of a plugin was found.
type NotFoundError struct {
	Type, Name string
	// Looked are the places, in order: directories, or the explicit file.
	Looked []string
	// Rejected are the candidates that were there.
	Rejected []Candidate
	// Nearest are names of installed plugins of that type that look alike.
	Nearest []string
	// Installed are the names of all installed plugins of that type.
	Installed []string
}

// Error tells everything over several lines: the first line is a summary.
func (e *NotFoundError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s plugin %q", e.Type, e.Name)
	switch {
	case len(e.Rejected) > 0:
		// The name is right, and another one is no help.
		b.WriteString(" cannot be used")
	case len(e.Nearest) > 0:
		fmt.Fprintf(&b, " is not installed; did you mean %s?", quotedOr(e.Nearest))
	default:
		b.WriteString(" is not installed")
	}
	for _, c := range e.Rejected {
		fmt.Fprintf(&b, "\n  rejected %s: %s", c.Path, c.Reason)
	}
	if len(e.Looked) > 0 {
		fmt.Fprintf(&b, "\n  looked in: %s", strings.Join(e.Looked, ", "))
	}
	if len(e.Installed) > 0 {
		fmt.Fprintf(&b, "\n  installed %s plugins: %s", e.Type, strings.Join(e.Installed, ", "))
	}
	return b.String()
}

func quotedOr(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = fmt.Sprintf("%q", n)
	}
	return strings.Join(quoted, " or ")
}

// StartError means that an executable is there and is not a plugin that this program can use.
type StartError struct {
	// Plugin is "type/name".
	Plugin, Path string
	// Reason is one line; it may be the report of a crash.
	Reason string
	// Stderr are the last lines that it wrote.
	Stderr []string
}

func (e *StartError) Error() string {
	return fmt.Sprintf("plugin %s (%s) did not start: %s%s", e.Plugin, e.Path, e.Reason, indented(e.Stderr))
}

// CrashError means that a plugin's process ended while it was in use.
type CrashError struct {
	// Plugin is "type/name".
	Plugin, Path string
	// Status is how it ended: "exit status 2", "signal: killed".
	Status string
	// Panic is the text of a Go panic or fatal error; empty if there was none.
	Panic string
	// Stderr are the last lines that it wrote; empty when Panic says it all.
	Stderr []string
}

func (e *CrashError) Error() string {
	text := fmt.Sprintf("plugin %s (%s) ended unexpectedly: %s", e.Plugin, e.Path, e.Status)
	if e.Panic != "" {
		text += ": " + e.Panic
	}
	return text + indented(e.Stderr)
}

func indented(lines []string) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString("\n  | " + l)
	}
	return b.String()
}

// ConfigError means that a plugin refused its configuration. The diagnostics name the attributes.
type ConfigError struct {
	// Plugin is "type/name".
	Plugin      string
	Server      string
	Diagnostics diag.List
}

func (e *ConfigError) Error() string {
	where := "plugin " + e.Plugin
	if e.Server != "" {
		where += " of server " + e.Server
	}
	return fmt.Sprintf("%s: %v", where, e.Diagnostics.Err())
}

// Unwrap gives the diagnostics to errors.As.
func (e *ConfigError) Unwrap() []error {
	var errs []error
	for _, d := range e.Diagnostics {
		errs = append(errs, d)
	}
	return errs
}
