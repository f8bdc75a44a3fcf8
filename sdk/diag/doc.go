// Package diag holds what a plugin wants a person to know: diagnostics.
//
// A diagnostic is data, not text: it has a severity, one line of summary, a detail that says what to do next, the
// option it is about, and a stable code for programs. Plugins return diagnostics as errors; they cross the wire whole,
// and the host renders them once, pointing at the place in the configuration file where that is possible:
//
//	return diag.Diagnostic{
//		Summary: "rsync is too old",
//		Detail:  "found 2.6.9 in /usr/bin, version 3.1.0 or newer is needed",
//		Code:    diag.CodeToolMissing,
//	}
//
// A code also answers errors.Is, on both sides of the wire: CodeNotFound is fs.ErrNotExist, CodeNoSpace is
// syscall.ENOSPC, CodeCancelled is context.Canceled.
package diag
