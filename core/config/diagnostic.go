package config

import (
	"fmt"
	"io"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// Severity says how far the damage of a mistake goes.
type Severity int

// Severities.
const (
	// Fatal: there is no usable configuration; the program ends.
	Fatal Severity = iota + 1
	// Error: one server is disabled, or several servers contradict each other.
	Error
	// Warning: something was ignored or replaced.
	Warning
)

// Range is a place in a file. Lines and columns count from 1; zero means unknown.
type Range struct {
	File               string
	Line, Column       int
	EndLine, EndColumn int
}

// Diagnostic is one finding about the configuration.
type Diagnostic struct {
	Severity Severity
	// Summary is the message. Where Barman 3.17 has a message for the same mistake, it is that text.
	Summary string
	// Detail says what to do next; may be empty.
	Detail string
	// Suggestion is the name that was probably meant, or empty.
	Suggestion string
	Range      Range
	// Snippet is the line of the file that Range starts on, with secrets masked; empty when unknown.
	Snippet string
	// Server is the server it concerns, or empty. Block is the block, for example `server "main"`.
	Server, Block string
	// Option is the option it is about, or empty.
	Option string
	// LogOnly: Barman writes it to its log and does not bother the user with it. `config validate` shows it.
	LogOnly bool

	// masked tells that a secret was removed from Snippet, so that columns no longer match.
	masked bool
}

// Error returns the summary with its place. A Diagnostic is an error.
func (d Diagnostic) Error() string {
	if d.Range.File == "" {
		return d.Summary
	}
	return fmt.Sprintf("%s:%d: %s", d.Range.File, d.Range.Line, d.Summary)
}

// Diagnostics are several findings, in the order in which they were found.
type Diagnostics []Diagnostic

// Fatal tells whether the program must end.
func (ds Diagnostics) Fatal() bool { return ds.has(Fatal) }

// HasErrors tells whether there is more than warnings.
func (ds Diagnostics) HasErrors() bool { return ds.has(Fatal) || ds.has(Error) }

func (ds Diagnostics) has(s Severity) bool {
	for _, d := range ds {
		if d.Severity == s {
			return true
		}
	}
	return false
}

// Visible leaves out what belongs to the log only.
func (ds Diagnostics) Visible() Diagnostics {
	var out Diagnostics
	for _, d := range ds {
		if !d.LogOnly {
			out = append(out, d)
		}
	}
	return out
}

// Render writes all findings for a person: the message, the place, the line of the file with the culprit underlined,
// and what to do. With color, severities are coloured with ANSI sequences.
func (ds Diagnostics) Render(w io.Writer, color bool) error {
	for _, d := range ds {
		if _, err := io.WriteString(w, d.Text(color)); err != nil {
			return fmt.Errorf("write diagnostics: %w", err)
		}
	}
	return nil
}

// Text is the finding as Render writes it; it ends with a newline.
func (d Diagnostic) Text(color bool) string {
	label, code := "WARNING: ", "\x1b[33m"
	switch d.Severity {
	case Error:
		label, code = "ERROR: ", "\x1b[31m"
	case Fatal:
		// Fatal messages of Barman carry their own prefix or none.
		label, code = "", "\x1b[31m"
	}
	var b strings.Builder
	if color {
		b.WriteString(code + label + d.Summary + "\x1b[0m\n")
	} else {
		b.WriteString(label + d.Summary + "\n")
	}
	if d.Range.File != "" {
		fmt.Fprintf(&b, "  on %s", d.Range.File)
		if d.Range.Line > 0 {
			fmt.Fprintf(&b, " line %d", d.Range.Line)
		}
		if d.Block != "" {
			fmt.Fprintf(&b, ", in %s", d.Block)
		}
		if d.Snippet != "" {
			b.WriteString(":")
		}
		b.WriteString("\n")
	}
	if d.Snippet != "" {
		number := fmt.Sprintf("%5d: ", d.Range.Line)
		b.WriteString(number + d.Snippet + "\n")
	}
	if d.Snippet != "" && !d.masked && d.Range.Column > 0 {
		number := fmt.Sprintf("%5d: ", d.Range.Line)
		b.WriteString(strings.Repeat(" ", len(number)) + d.underline() + "\n")
	}
	if d.Suggestion != "" {
		fmt.Fprintf(&b, "  Did you mean %q?\n", d.Suggestion)
	}
	for line := range strings.SplitSeq(d.Detail, "\n") {
		if line != "" {
			b.WriteString("  " + line + "\n")
		}
	}
	return b.String()
}

// underline marks the part of the snippet that the range covers. Tabs are kept so that both lines align.
func (d Diagnostic) underline() string {
	line := []rune(d.Snippet)
	start := min(max(d.Range.Column-1, 0), len(line))
	end := len(line)
	if d.Range.EndLine == d.Range.Line && d.Range.EndColumn > d.Range.Column {
		end = min(d.Range.EndColumn-1, len(line))
	}
	var b strings.Builder
	for _, r := range line[:start] {
		if r != '\t' {
			r = ' '
		}
		b.WriteRune(r)
	}
	return b.String() + strings.Repeat("^", max(end-start, 1))
}

func rangeOf(r hcl.Range) Range {
	return Range{
		File: r.Filename, Line: r.Start.Line, Column: r.Start.Column, EndLine: r.End.Line, EndColumn: r.End.Column,
	}
}
