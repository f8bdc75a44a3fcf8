package hook

import (
	"context"

	"google.golang.org/grpc"

	"github.com/barman-go/barman/sdk/internal/wire"
	hookv1 "github.com/barman-go/barman/sdk/pb/barman/hook/v1"
)

// Client calls an instance of a hook plugin. Its methods may be called at the same time from several goroutines.
type Client struct {
	caller wire.Caller
	rpc    hookv1.HookClient
}

// NewClient returns a client of an instance that Plugin.Open gave.
func NewClient(conn grpc.ClientConnInterface, instance string) *Client {
	conn = wire.Undated(conn)
	return &Client{caller: wire.Caller{Conn: conn, Instance: instance}, rpc: hookv1.NewHookClient(conn)}
}

// Events lists the events that the hook accepts; empty means all.
func (c *Client) Events(ctx context.Context) ([]string, error) {
	resp, err := c.rpc.Describe(ctx, &hookv1.DescribeRequest{Instance: c.caller.Instance})
	if err != nil {
		return nil, c.caller.Ended(ctx, "", err)
	}
	return resp.GetEvents(), nil
}

// Run runs the hook on an event. The error is nil when the hook gave an answer, whichever; Result.Err then says why the
// outcome is not Success. An error means that there was no answer: when ctx ended first it is its cause, and by then the
// plugin has stopped what it ran; otherwise the plugin broke the protocol or crashed. Never a gRPC status.
func (c *Client) Run(ctx context.Context, ev Event, out Output) (Result, error) {
	op := c.caller.Op(ev.Op)
	streamCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.rpc.Run(streamCtx, eventToWire(c.caller.Instance, op, ev))
	if err != nil {
		return Result{}, c.caller.Ended(ctx, op, err)
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return Result{}, c.caller.Ended(ctx, op, err)
		}
		switch k := m.GetKind().(type) {
		case *hookv1.RunResponse_Output:
			if out != nil {
				out.Line(k.Output.GetText(), k.Output.GetWarning())
			}
		case *hookv1.RunResponse_Result:
			return resultFromWire(k.Result), wire.EndOfStream(stream.RecvMsg(new(hookv1.RunResponse)))
		}
	}
}

// Close closes the instance; its running calls end.
func (c *Client) Close(ctx context.Context) error { return c.caller.Close(ctx) }

func resultFromWire(r *hookv1.Result) Result {
	outcome := Outcome(r.GetOutcome())
	if outcome < Success || outcome > AbortStop {
		// What a newer plugin means by an unknown outcome is unknown; it is not success.
		outcome = Failure
	}
	return Result{Outcome: outcome, ExitCode: int(r.GetExitCode()), Err: wire.Err(r.GetDiagnostics())}
}

func eventToWire(instance, op string, ev Event) *hookv1.RunRequest {
	r := &hookv1.RunRequest{
		Instance: instance, Op: op, Event: ev.Name, Phase: ev.Phase, Retry: ev.Retry, Attempt: int32(ev.Attempt),
		Environment: ev.Environment,
	}
	switch {
	case ev.Backup != nil:
		r.Payload = &hookv1.RunRequest_Backup{Backup: backupToWire(*ev.Backup)}
	case ev.WAL != nil:
		r.Payload = &hookv1.RunRequest_Wal{Wal: &hookv1.WalPayload{
			Name: ev.WAL.Name, File: ev.WAL.File, Size: ev.WAL.Size, Timestamp: ev.WAL.Timestamp,
			Compression: ev.WAL.Compression, Error: ev.WAL.Error,
		}}
	case ev.Recovery != nil:
		r.Payload = &hookv1.RunRequest_Recovery{Recovery: &hookv1.RecoveryPayload{
			Backup: backupToWire(ev.Recovery.Backup), Destination: ev.Recovery.Destination,
			Tablespaces: ev.Recovery.Tablespaces, RemoteCommand: ev.Recovery.RemoteCommand,
			OptionsJson: ev.Recovery.OptionsJSON,
		}}
	}
	return r
}

func backupToWire(b Backup) *hookv1.BackupPayload {
	return &hookv1.BackupPayload{
		BackupId: b.ID, PreviousId: b.PreviousID, NextId: b.NextID, Status: b.Status, Directory: b.Directory, Error: b.Error,
	}
}
