package plugin

import (
	"google.golang.org/grpc"

	"github.com/barman-go/barman/sdk/internal/wire"
	pluginv1 "github.com/barman-go/barman/sdk/pb/barman/plugin/v1"
	transferv1 "github.com/barman-go/barman/sdk/pb/barman/transfer/v1"
	"github.com/barman-go/barman/sdk/transfer"
)

// TakeBackup takes a self-contained backup.
func (s *transferService) TakeBackup(
	r *transferv1.TakeBackupRequest, stream grpc.ServerStreamingServer[transferv1.TakeBackupResponse],
) error {
	inst, t, err := object[transfer.BackupTaker](s.instances, r.GetInstance(), "take backups by itself")
	if err != nil {
		return err
	}
	ctx, end := inst.begin(stream.Context(), r.GetOp())
	defer end()
	rep := &backupReporter{stream: stream}
	rep.events = startEvents(func(e *pluginv1.Event) error {
		return stream.Send(&transferv1.TakeBackupResponse{Kind: &transferv1.TakeBackupResponse_Event{Event: e}})
	})
	result, err := t.TakeBackup(ctx, takeRequestFromWire(r), rep)
	rep.stop()
	if err != nil {
		return stream.Send(&transferv1.TakeBackupResponse{
			Kind: &transferv1.TakeBackupResponse_Failure{Failure: wire.Diagnostic(err)},
		})
	}
	return stream.Send(&transferv1.TakeBackupResponse{
		Kind: &transferv1.TakeBackupResponse_Result{Result: &transferv1.TakeBackupResult{
			BackupLabel: result.BackupLabel, EndLsn: result.EndLSN, CopySeconds: result.Copy.Seconds(),
		}},
	})
}

// RestoreBackup puts one back.
func (s *transferService) RestoreBackup(
	r *transferv1.RestoreBackupRequest, stream grpc.ServerStreamingServer[transferv1.RestoreBackupResponse],
) error {
	inst, t, err := object[transfer.BackupRestorer](s.instances, r.GetInstance(), "restore backups")
	if err != nil {
		return err
	}
	ctx, end := inst.begin(stream.Context(), r.GetOp())
	defer end()
	ev := startEvents(func(e *pluginv1.Event) error {
		return stream.Send(&transferv1.RestoreBackupResponse{Kind: &transferv1.RestoreBackupResponse_Event{Event: e}})
	})
	result, err := t.RestoreBackup(ctx, transfer.RestoreBackupRequest{
		Op: r.GetOp(), BackupID: r.GetBackupId(), Source: r.GetSource(), Destination: r.GetDestination(),
		Tablespaces: tablespacesFromWire(r.GetTablespaces()), Remote: r.GetRemoteCommand(), Workers: int(r.GetWorkers()),
	}, ev)
	ev.stop()
	if err != nil {
		return stream.Send(&transferv1.RestoreBackupResponse{
			Kind: &transferv1.RestoreBackupResponse_Failure{Failure: wire.Diagnostic(err)},
		})
	}
	return stream.Send(&transferv1.RestoreBackupResponse{
		Kind: &transferv1.RestoreBackupResponse_Result{
			Result: &transferv1.RestoreBackupResult{Files: result.Files, Bytes: result.Bytes},
		},
	})
}

// backupReporter is a transfer.BackupReporter.
type backupReporter struct {
	*events
	stream grpc.ServerStreamingServer[transferv1.TakeBackupResponse]
}

// WaitingForWAL passes the request on at once.
func (b *backupReporter) WaitingForWAL() {
	b.do(func() error {
		return b.stream.Send(&transferv1.TakeBackupResponse{
			Kind: &transferv1.TakeBackupResponse_WaitingForWal{WaitingForWal: &transferv1.WaitingForWal{}},
		})
	})
}
