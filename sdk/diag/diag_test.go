package diag

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFromError(t *testing.T) {
	full := Diagnostic{Severity: Warning, Summary: "s", Detail: "d", Attribute: "a", Code: "c", Retryable: true}
	at := full
	at.Summary = "at /x: s"
	_, missing := os.Open("/nonexistent")
	for _, c := range []struct {
		name string
		err  error
		want Diagnostic
	}{
		{"nil", nil, Diagnostic{}},
		{"a diagnostic", full, full},
		{"wrapped in front", fmt.Errorf("at /x: %w", full), at},
		{
			"wrapped on both sides", fmt.Errorf("at (%w) all", Diagnostic{Summary: "s", Code: "c"}),
			Diagnostic{Severity: Error, Summary: "at (s) all", Code: "c"},
		},
		{"any error", errors.New("x"), Diagnostic{Severity: Error, Summary: "x"}},
		{"missing file", missing, Diagnostic{Severity: Error, Summary: missing.Error(), Code: CodeNotFound}},
		{"full disk", fmt.Errorf("w: %w", syscall.ENOSPC), Diagnostic{Severity: Error, Summary: "w: no space left on device", Code: CodeNoSpace}},
		{"cancelled", context.Canceled, Diagnostic{Severity: Error, Summary: "context canceled", Code: CodeCancelled}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.want, FromError(c.err)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestCodesStandForErrorsOfTheStandardLibrary(t *testing.T) {
	for code, want := range map[string]error{
		CodeNotFound: fs.ErrNotExist, CodeNoSpace: syscall.ENOSPC, CodeCancelled: context.Canceled,
	} {
		d := fmt.Errorf("x: %w", Diagnostic{Summary: "s", Code: code})
		if !errors.Is(d, want) || errors.Is(d, fs.ErrExist) {
			t.Errorf("%s is not %v, or is everything", code, want)
		}
	}
}

func TestListErrKeepsEveryError(t *testing.T) {
	l := List{{Severity: Warning, Summary: "w"}, {Severity: Error, Summary: "one"}, {Summary: "two", Code: CodeCorrupt}}
	if d := cmp.Diff(List{l[1], {Severity: Error, Summary: "two", Code: CodeCorrupt}}, FromErrors(l.Err())); d != "" {
		t.Error(d)
	}
	if err := l[:1].Err(); err != nil {
		t.Errorf("a warning is no error: %v", err)
	}
}
