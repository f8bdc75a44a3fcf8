package plugin

import (
	"context"
	"sync"

	"google.golang.org/grpc"

	"github.com/barman-go/barman/sdk/hook"
	"github.com/barman-go/barman/sdk/internal/wire"
	hookv1 "github.com/barman-go/barman/sdk/pb/barman/hook/v1"
)

// hookService serves a hook.Hook.
type hookService struct {
	hookv1.UnimplementedHookServer
	instances *instances
}

// Describe lists the events.
func (s *hookService) Describe(_ context.Context, r *hookv1.DescribeRequest) (*hookv1.DescribeResponse, error) {
	_, h, err := object[hook.Hook](s.instances, r.GetInstance(), "run hooks")
	if err != nil {
		return nil, err
	}
	return &hookv1.DescribeResponse{Events: h.Events()}, nil
}

// Run runs the hook on one event.
func (s *hookService) Run(r *hookv1.RunRequest, stream grpc.ServerStreamingServer[hookv1.RunResponse]) error {
	inst, h, err := object[hook.Hook](s.instances, r.GetInstance(), "run hooks")
	if err != nil {
		return err
	}
	ctx, end := inst.begin(stream.Context(), r.GetOp())
	defer end()
	out := &hookOutput{stream: stream}
	result := h.Run(ctx, eventFromWire(r), out)
	out.stop()
	return stream.Send(&hookv1.RunResponse{Kind: &hookv1.RunResponse_Result{Result: hookResultToWire(result)}})
}

// hookOutput is a hook.Output. Lines written after Run has returned are dropped: the result is the last message.
type hookOutput struct {
	mu      sync.Mutex
	stopped bool
	stream  grpc.ServerStreamingServer[hookv1.RunResponse]
}

// Line sends a line; text that is longer than a message may be is cut.
func (o *hookOutput) Line(text string, warning bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stopped {
		return
	}
	if len(text) > maxFile {
		text = text[:maxFile] + "…"
	}
	_ = o.stream.Send(&hookv1.RunResponse{
		Kind: &hookv1.RunResponse_Output{Output: &hookv1.OutputLine{Text: text, Warning: warning}},
	})
}

func (o *hookOutput) stop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stopped = true
}

func hookResultToWire(r hook.Result) *hookv1.Result {
	outcome := hookv1.Result_Outcome(r.Outcome)
	if r.Outcome < hook.Success || r.Outcome > hook.AbortStop {
		// An outcome that the author forgot must not pass for success.
		outcome = hookv1.Result_OUTCOME_FAILURE
	}
	return &hookv1.Result{Outcome: outcome, ExitCode: int32(r.ExitCode), Diagnostics: wire.Diagnostics(r.Err)}
}

func eventFromWire(r *hookv1.RunRequest) hook.Event {
	ev := hook.Event{
		Op: r.GetOp(), Name: r.GetEvent(), Phase: r.GetPhase(), Retry: r.GetRetry(), Attempt: int(r.GetAttempt()),
		Environment: r.GetEnvironment(),
	}
	switch p := r.GetPayload().(type) {
	case *hookv1.RunRequest_Backup:
		ev.Backup = backupFromWire(p.Backup)
	case *hookv1.RunRequest_Wal:
		ev.WAL = &hook.WAL{
			Name: p.Wal.GetName(), File: p.Wal.GetFile(), Size: p.Wal.GetSize(), Timestamp: p.Wal.GetTimestamp(),
			Compression: p.Wal.GetCompression(), Error: p.Wal.GetError(),
		}
	case *hookv1.RunRequest_Recovery:
		ev.Recovery = &hook.Recovery{
			Backup: *backupFromWire(p.Recovery.GetBackup()), Destination: p.Recovery.GetDestination(),
			Tablespaces: p.Recovery.GetTablespaces(), RemoteCommand: p.Recovery.GetRemoteCommand(),
			OptionsJSON: p.Recovery.GetOptionsJson(),
		}
	}
	return ev
}

func backupFromWire(b *hookv1.BackupPayload) *hook.Backup {
	return &hook.Backup{
		ID: b.GetBackupId(), PreviousID: b.GetPreviousId(), NextID: b.GetNextId(), Status: b.GetStatus(),
		Directory: b.GetDirectory(), Error: b.GetError(),
	}
}
