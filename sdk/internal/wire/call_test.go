package wire

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/toolexec"
)

func TestStatusesBecomeWords(t *testing.T) {
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		err := CallError(fmt.Errorf("call: %w", status.Error(code, "the reason")))
		var d diag.Diagnostic
		if !errors.As(err, &d) || strings.Contains(err.Error(), "rpc error") || d.Summary == "" ||
			!strings.Contains(d.Detail, "the reason") {
			t.Errorf("%s gives %v", code, err)
		}
		want := diag.CodeProtocol
		if code == codes.Canceled || code == codes.DeadlineExceeded {
			want = diag.CodeCancelled
		}
		if d.Code != want {
			t.Errorf("%s has code %q", code, d.Code)
		}
	}
	crash := errors.New("the host's report of a crash")
	if err := CallError(crash); !errors.Is(err, crash) {
		t.Errorf("got %v", err)
	}
}

func TestStreamMustEndWithOneResult(t *testing.T) {
	if err := CallError(io.EOF); err == nil || !strings.Contains(err.Error(), "without a result") {
		t.Errorf("no result: %v", err)
	}
	if err := EndOfStream(io.EOF); err != nil {
		t.Errorf("one result: %v", err)
	}
	if err := EndOfStream(nil); err == nil || !strings.Contains(err.Error(), "went on after its result") {
		t.Errorf("two results: %v", err)
	}
}

func TestErrorsOfToolsGetTheirCodes(t *testing.T) {
	for want, err := range map[string]error{
		diag.CodeToolMissing: fmt.Errorf("rsync: %w", toolexec.ErrNotFound),
		diag.CodeToolFailed:  fmt.Errorf("copy: %w", &toolexec.ExitError{Tool: "rsync", Code: 12}),
		"own":                diag.Diagnostic{Summary: "x", Code: "own"},
	} {
		for _, d := range []diag.Diagnostic{ToDiagnostic(Diagnostic(err)), ToList(Diagnostics(err))[0]} {
			if d.Code != want || d.Summary == "" {
				t.Errorf("%v has code %q", err, d.Code)
			}
		}
	}
}
