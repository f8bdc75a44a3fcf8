package transfer

import (
	"context"

	"google.golang.org/grpc"

	"github.com/barman-go/barman/sdk/internal/wire"
	pluginv1 "github.com/barman-go/barman/sdk/pb/barman/plugin/v1"
	transferv1 "github.com/barman-go/barman/sdk/pb/barman/transfer/v1"
	"github.com/barman-go/barman/sdk/progress"
)

// Copy runs a plan and reports its progress; see FileCopier. Seconds are the unit of Retry.Sleep and StartBatchPeriod on
// the wire; fractions are rounded up.
func (c *Client) Copy(ctx context.Context, plan Plan, rep progress.Reporter) (CopyResult, error) {
	op := c.caller.Op(plan.Op)
	// However this ends, the stream must not linger.
	streamCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.rpc.Copy(streamCtx, planToWire(c.caller.Instance, op, plan))
	if err != nil {
		return CopyResult{}, c.caller.Ended(ctx, op, err)
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return CopyResult{}, c.caller.Ended(ctx, op, err)
		}
		switch k := m.GetKind().(type) {
		case *transferv1.CopyResponse_Event:
			report(rep, k.Event)
		case *transferv1.CopyResponse_Result:
			return copyResultFromWire(k.Result), finish(stream)
		case *transferv1.CopyResponse_Failure:
			return CopyResult{}, c.caller.Ended(ctx, op, wire.ToDiagnostic(k.Failure))
		}
	}
}

// TakeBackup takes a base backup; see BackupTaker.
func (c *Client) TakeBackup(ctx context.Context, req TakeBackupRequest, rep BackupReporter) (TakeBackupResult, error) {
	op := c.caller.Op(req.Op)
	streamCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.rpc.TakeBackup(streamCtx, takeRequestToWire(c.caller.Instance, op, req))
	if err != nil {
		return TakeBackupResult{}, c.caller.Ended(ctx, op, err)
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return TakeBackupResult{}, c.caller.Ended(ctx, op, err)
		}
		switch k := m.GetKind().(type) {
		case *transferv1.TakeBackupResponse_Event:
			report(rep, k.Event)
		case *transferv1.TakeBackupResponse_WaitingForWal:
			rep.WaitingForWAL()
		case *transferv1.TakeBackupResponse_Result:
			return TakeBackupResult{
				BackupLabel: k.Result.GetBackupLabel(), EndLSN: k.Result.GetEndLsn(), Copy: seconds(k.Result.GetCopySeconds()),
			}, finish(stream)
		case *transferv1.TakeBackupResponse_Failure:
			return TakeBackupResult{}, c.caller.Ended(ctx, op, wire.ToDiagnostic(k.Failure))
		}
	}
}

// RestoreBackup puts back what TakeBackup took; see BackupRestorer.
func (c *Client) RestoreBackup(
	ctx context.Context, req RestoreBackupRequest, rep progress.Reporter,
) (RestoreBackupResult, error) {
	op := c.caller.Op(req.Op)
	streamCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.rpc.RestoreBackup(streamCtx, &transferv1.RestoreBackupRequest{
		Instance: c.caller.Instance, Op: op, BackupId: req.BackupID, Source: req.Source, Destination: req.Destination,
		Tablespaces: tablespacesToWire(req.Tablespaces), RemoteCommand: req.Remote, Workers: int32(req.Workers),
	})
	if err != nil {
		return RestoreBackupResult{}, c.caller.Ended(ctx, op, err)
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return RestoreBackupResult{}, c.caller.Ended(ctx, op, err)
		}
		switch k := m.GetKind().(type) {
		case *transferv1.RestoreBackupResponse_Event:
			report(rep, k.Event)
		case *transferv1.RestoreBackupResponse_Result:
			return RestoreBackupResult{Files: k.Result.GetFiles(), Bytes: k.Result.GetBytes()}, finish(stream)
		case *transferv1.RestoreBackupResponse_Failure:
			return RestoreBackupResult{}, c.caller.Ended(ctx, op, wire.ToDiagnostic(k.Failure))
		}
	}
}

// finish checks that the result was the last message.
func finish[T any](stream grpc.ServerStreamingClient[T]) error {
	return wire.EndOfStream(stream.RecvMsg(new(T)))
}

// report passes progress on; log messages and heartbeats need no reaction here.
func report(rep progress.Reporter, e *pluginv1.Event) {
	p := e.GetProgress()
	if p == nil || rep == nil {
		return
	}
	rep.Progress(progress.Progress{
		BytesDone: p.GetBytesDone(), BytesTotal: p.GetBytesTotal(), FilesDone: p.GetFilesDone(),
		FilesTotal: p.GetFilesTotal(), Label: p.GetLabel(),
	})
}
