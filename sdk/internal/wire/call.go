package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/barman-go/barman/sdk/diag"
	pluginv1 "github.com/barman-go/barman/sdk/pb/barman/plugin/v1"
)

// MaxMessage is the size of the largest message, in bytes, in both directions. gRPC's own default is 4 MiB on the
// receiving side, which a list of changes to control files can exceed.
const MaxMessage = 16 << 20

// cancelWait bounds how long a cancelled call waits for the plugin to stop its tools: longer than the grace period that
// sdk/toolexec gives them between SIGTERM and SIGKILL.
const cancelWait = 15 * time.Second

// Caller makes calls to one instance of a plugin.
type Caller struct {
	Conn     grpc.ClientConnInterface
	Instance string
	ops      atomic.Int64
}

// Op returns op, or a fresh one when it is empty: without an op a call cannot be cancelled by name.
func (c *Caller) Op(op string) string {
	if op != "" {
		return op
	}
	return "call-" + strconv.FormatInt(c.ops.Add(1), 10)
}

// Ended turns the error of a call into one for the caller. When ctx ended, it first waits until the plugin has stopped
// what the operation runs, so that nothing touches a file after the caller has its answer. Short calls have no op: they
// cannot be told apart, and ending one must not end the others.
func (c *Caller) Ended(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() == nil {
		return CallError(err)
	}
	if op == "" {
		return context.Cause(ctx)
	}
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelWait)
	defer cancel()
	// The answer does not matter: a plugin that does not know the rpc, or that is gone, is not waited for.
	_, _ = pluginv1.NewPluginClient(c.Conn).Cancel(wait, &pluginv1.CancelRequest{Instance: c.Instance, Op: op})
	return context.Cause(ctx)
}

// Close closes the instance.
func (c *Caller) Close(ctx context.Context) error {
	_, err := pluginv1.NewPluginClient(c.Conn).Close(ctx, &pluginv1.CloseRequest{Instance: c.Instance})
	return CallError(err)
}

// CallError turns a gRPC status into a diagnostic that a person understands. Any other error, such as the host's report
// of a crash, is returned as it is.
func CallError(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return diag.Diagnostic{
			Severity: diag.Error, Code: diag.CodeProtocol, Summary: "the plugin ended its answer without a result",
			Detail: "every stream must end with exactly one result or failure; report this to the plugin's author",
		}
	}
	var answered interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &answered) {
		return err
	}
	st := answered.GRPCStatus()
	d := diag.Diagnostic{Severity: diag.Error, Code: diag.CodeProtocol, Detail: st.Message()}
	switch st.Code() {
	case codes.Canceled, codes.DeadlineExceeded:
		d.Code, d.Summary = diag.CodeCancelled, "the plugin cancelled the call"
	case codes.Unimplemented:
		d.Summary = "the plugin does not offer this call"
	case codes.ResourceExhausted:
		d.Summary = fmt.Sprintf("a message to or from the plugin is larger than %d MiB", MaxMessage>>20)
	case codes.NotFound:
		d.Summary = "the plugin does not know this instance"
	case codes.InvalidArgument:
		d.Summary = "the plugin refused the request"
	case codes.Unavailable:
		d.Summary = "the connection to the plugin was lost"
	default:
		d.Summary = "the plugin broke the protocol"
	}
	return d
}

// EndOfStream checks what was received after the terminal message of a stream: it must be the end.
func EndOfStream(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return CallError(err)
	}
	return diag.Diagnostic{
		Severity: diag.Error, Code: diag.CodeProtocol, Summary: "the plugin went on after its result",
		Detail: "every stream must end with exactly one result or failure; report this to the plugin's author",
	}
}
