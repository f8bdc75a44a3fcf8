package plugin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/barman-go/barman/sdk/internal/wire"
	pluginv1 "github.com/barman-go/barman/sdk/pb/barman/plugin/v1"
	transferv1 "github.com/barman-go/barman/sdk/pb/barman/transfer/v1"
	"github.com/barman-go/barman/sdk/transfer"
)

// maxFile is the size of the largest file that travels inside a message, in bytes.
const maxFile = 1 << 20

// transferService serves a transfer.FileCopier or a transfer.BackupTaker.
type transferService struct {
	transferv1.UnimplementedTransferServer
	instances *instances
}

// object finds an instance that can do what T can.
func object[T any](s *instances, id, what string) (*instance, T, error) {
	var none T
	inst, err := s.get(id)
	if err != nil {
		return nil, none, err
	}
	t, ok := inst.object.(T)
	if !ok {
		return nil, none, status.Errorf(codes.Unimplemented, "this plugin does not %s", what)
	}
	return inst, t, nil
}

// Describe tells what the instance can do.
func (s *transferService) Describe(
	_ context.Context, r *transferv1.DescribeRequest,
) (*transferv1.DescribeResponse, error) {
	_, t, err := object[transfer.Transfer](s.instances, r.GetInstance(), "describe itself")
	if err != nil {
		return nil, err
	}
	d := t.Describe()
	return &transferv1.DescribeResponse{
		Mode: transferv1.DescribeResponse_Mode(d.Mode), NeedsSshCommand: d.NeedsSSHCommand, SupportsReuse: d.SupportsReuse,
		SupportsBandwidthLimit:           d.SupportsBandwidthLimit,
		SupportsTablespaceBandwidthLimit: d.SupportsTablespaceBandwidthLimit,
		SupportsNetworkCompression:       d.SupportsNetworkCompression, SupportsParallelJobs: d.SupportsParallelJobs,
	}, nil
}

// Check probes what a backup needs.
func (s *transferService) Check(
	ctx context.Context, r *transferv1.CheckRequest,
) (*transferv1.CheckResponse, error) {
	inst, t, err := object[transfer.Transfer](s.instances, r.GetInstance(), "check")
	if err != nil {
		return nil, err
	}
	ctx, end := inst.begin(ctx, "")
	defer end()
	rows, err := t.Check(ctx, transfer.CheckRequest{
		Remote: r.GetRemoteCommand(), Conninfo: r.GetConninfo(), Password: r.GetPassword(),
		ServerVersion: int(r.GetServerVersion()), Compression: compressionFromWire(r.GetCompression()),
	})
	resp := &transferv1.CheckResponse{Diagnostics: wire.Diagnostics(err)}
	for _, row := range rows {
		resp.Rows = append(resp.Rows, &transferv1.CheckRow{
			Label: row.Label, Ok: row.OK, Hint: row.Hint, OnlyFailure: row.OnlyFailure,
		})
	}
	return resp, nil
}

// Copy runs a plan.
func (s *transferService) Copy(r *transferv1.CopyRequest, stream grpc.ServerStreamingServer[transferv1.CopyResponse]) error {
	inst, t, err := object[transfer.FileCopier](s.instances, r.GetInstance(), "copy files")
	if err != nil {
		return err
	}
	ctx, end := inst.begin(stream.Context(), r.GetOp())
	defer end()
	ev := startEvents(func(e *pluginv1.Event) error {
		return stream.Send(&transferv1.CopyResponse{Kind: &transferv1.CopyResponse_Event{Event: e}})
	})
	result, err := t.Copy(ctx, planFromWire(r), ev)
	ev.stop()
	if err != nil {
		return stream.Send(&transferv1.CopyResponse{
			Kind: &transferv1.CopyResponse_Failure{Failure: wire.Diagnostic(err)},
		})
	}
	return stream.Send(&transferv1.CopyResponse{
		Kind: &transferv1.CopyResponse_Result{Result: copyResultToWire(result)},
	})
}

// ReadFile reads a small file.
func (s *transferService) ReadFile(
	ctx context.Context, r *transferv1.ReadFileRequest,
) (*transferv1.ReadFileResponse, error) {
	inst, t, err := object[transfer.FileCopier](s.instances, r.GetInstance(), "read files")
	if err != nil {
		return nil, err
	}
	limit := r.GetMaxBytes()
	if limit == 0 {
		limit = maxFile
	}
	ctx, end := inst.begin(ctx, "")
	defer end()
	content, err := t.ReadFile(ctx, r.GetRemoteCommand(), r.GetPath(), limit)
	if errors.Is(err, fs.ErrNotExist) {
		return &transferv1.ReadFileResponse{}, nil
	}
	if err == nil && int64(len(content.Content)) > limit {
		err = fmt.Errorf("%s is larger than %d bytes", r.GetPath(), limit)
	}
	if err != nil {
		return &transferv1.ReadFileResponse{Diagnostics: wire.Diagnostics(err)}, nil
	}
	return &transferv1.ReadFileResponse{Exists: true, Content: content.Content, Mode: uint32(content.Mode)}, nil
}

// ApplyFiles makes small changes.
func (s *transferService) ApplyFiles(
	ctx context.Context, r *transferv1.ApplyFilesRequest,
) (*transferv1.ApplyFilesResponse, error) {
	inst, t, err := object[transfer.FileCopier](s.instances, r.GetInstance(), "change files")
	if err != nil {
		return nil, err
	}
	ctx, end := inst.begin(ctx, "")
	defer end()
	done, err := t.ApplyFiles(ctx, r.GetRemoteCommand(), changesFromWire(r.GetChanges()))
	return &transferv1.ApplyFilesResponse{Done: int32(done), Diagnostics: wire.Diagnostics(err)}, nil
}

// Stat looks at paths.
func (s *transferService) Stat(ctx context.Context, r *transferv1.StatRequest) (*transferv1.StatResponse, error) {
	inst, t, err := object[transfer.FileCopier](s.instances, r.GetInstance(), "look at files")
	if err != nil {
		return nil, err
	}
	ctx, end := inst.begin(ctx, "")
	defer end()
	infos, err := t.Stat(ctx, r.GetRemoteCommand(), r.GetPaths())
	if err == nil && len(infos) != len(r.GetPaths()) {
		err = fmt.Errorf("the plugin looked at %d of %d paths", len(infos), len(r.GetPaths()))
	}
	if err != nil {
		return &transferv1.StatResponse{Diagnostics: wire.Diagnostics(err)}, nil
	}
	return &transferv1.StatResponse{Paths: pathInfosToWire(infos)}, nil
}
