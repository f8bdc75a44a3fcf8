package transfer

import (
	"context"
	"fmt"
	"io/fs"

	"google.golang.org/grpc"

	"github.com/barman-go/barman/sdk/internal/wire"
	transferv1 "github.com/barman-go/barman/sdk/pb/barman/transfer/v1"
)

// Client calls an instance of a transfer plugin. Its methods may be called at the same time from several goroutines.
//
// Errors: a diag.Diagnostic says what went wrong in the plugin; when ctx ended first the error is its cause, and by then
// the plugin has stopped the tools of Copy, TakeBackup and RestoreBackup, and is stopping those of the other calls;
// anything else comes from the connection, such as the host's report of a crash. A
// gRPC status is never among them. Calls that the instance's mode does not have are refused with code "protocol".
type Client struct {
	caller wire.Caller
	rpc    transferv1.TransferClient
}

// NewClient returns a client of an instance that Plugin.Open gave.
func NewClient(conn grpc.ClientConnInterface, instance string) *Client {
	conn = wire.Undated(conn)
	return &Client{
		caller: wire.Caller{Conn: conn, Instance: instance},
		rpc:    transferv1.NewTransferClient(conn),
	}
}

// Describe tells what the instance can do.
func (c *Client) Describe(ctx context.Context) (Description, error) {
	r, err := c.rpc.Describe(ctx, &transferv1.DescribeRequest{Instance: c.caller.Instance})
	if err != nil {
		return Description{}, c.caller.Ended(ctx, "", err)
	}
	return Description{
		Mode: Mode(r.GetMode()), NeedsSSHCommand: r.GetNeedsSshCommand(), SupportsReuse: r.GetSupportsReuse(),
		SupportsBandwidthLimit:           r.GetSupportsBandwidthLimit(),
		SupportsTablespaceBandwidthLimit: r.GetSupportsTablespaceBandwidthLimit(),
		SupportsNetworkCompression:       r.GetSupportsNetworkCompression(), SupportsParallelJobs: r.GetSupportsParallelJobs(),
	}, nil
}

// Check probes what a backup needs; see Transfer.
func (c *Client) Check(ctx context.Context, req CheckRequest) ([]CheckRow, error) {
	resp, err := c.rpc.Check(ctx, &transferv1.CheckRequest{
		Instance: c.caller.Instance, RemoteCommand: req.Remote, Conninfo: req.Conninfo, Password: req.Password,
		ServerVersion: int32(req.ServerVersion), Compression: compressionToWire(req.Compression),
	})
	if err == nil {
		err = wire.Err(resp.GetDiagnostics())
	}
	var rows []CheckRow
	for _, r := range resp.GetRows() {
		rows = append(rows, CheckRow{Label: r.GetLabel(), OK: r.GetOk(), Hint: r.GetHint(), OnlyFailure: r.GetOnlyFailure()})
	}
	return rows, c.caller.Ended(ctx, "", err)
}

// ReadFile returns a small file; see FileCopier. maxBytes 0 means 1 MiB.
func (c *Client) ReadFile(ctx context.Context, remote []string, path string, maxBytes int64) (FileContent, error) {
	resp, err := c.rpc.ReadFile(ctx, &transferv1.ReadFileRequest{
		Instance: c.caller.Instance, RemoteCommand: remote, Path: path, MaxBytes: maxBytes,
	})
	if err == nil {
		err = wire.Err(resp.GetDiagnostics())
	}
	if err != nil {
		return FileContent{}, c.caller.Ended(ctx, "", err)
	}
	if !resp.GetExists() {
		return FileContent{}, &fs.PathError{Op: "read", Path: path, Err: fs.ErrNotExist}
	}
	return FileContent{Content: resp.GetContent(), Mode: fs.FileMode(resp.GetMode())}, nil
}

// ApplyFiles makes changes in order and returns how many were done; see FileCopier.
func (c *Client) ApplyFiles(ctx context.Context, remote []string, changes []FileChange) (int, error) {
	resp, err := c.rpc.ApplyFiles(ctx, &transferv1.ApplyFilesRequest{
		Instance: c.caller.Instance, RemoteCommand: remote, Changes: changesToWire(changes),
	})
	if err == nil {
		err = wire.Err(resp.GetDiagnostics())
	}
	return int(resp.GetDone()), c.caller.Ended(ctx, "", err)
}

// Stat looks at paths; the result has their order.
func (c *Client) Stat(ctx context.Context, remote []string, paths []string) ([]PathInfo, error) {
	resp, err := c.rpc.Stat(ctx, &transferv1.StatRequest{
		Instance: c.caller.Instance, RemoteCommand: remote, Paths: paths,
	})
	if err == nil {
		err = wire.Err(resp.GetDiagnostics())
	}
	if err == nil && len(resp.GetPaths()) != len(paths) {
		err = fmt.Errorf("the plugin looked at %d of %d paths", len(resp.GetPaths()), len(paths))
	}
	if err != nil {
		return nil, c.caller.Ended(ctx, "", err)
	}
	return pathInfosFromWire(resp.GetPaths()), nil
}

// Close closes the instance; its running calls end.
func (c *Client) Close(ctx context.Context) error { return c.caller.Close(ctx) }
