package compress

import (
	"context"

	"google.golang.org/grpc"

	"github.com/barman-go/barman/sdk/internal/wire"
	compressv1 "github.com/barman-go/barman/sdk/pb/barman/compress/v1"
)

// Client calls an instance of a compression plugin. Its methods may be called at the same time from several goroutines.
//
// Errors: a diag.Diagnostic (possibly several, joined) says what went wrong in the plugin; when ctx ended first the error
// is its cause, and by then the plugin has stopped working on the call; anything else comes from the connection, such as
// the host's report of a crash. A gRPC status is never among them.
type Client struct {
	caller wire.Caller
	rpc    compressv1.CompressorClient
}

// NewClient returns a client of an instance that Plugin.Open gave.
func NewClient(conn grpc.ClientConnInterface, instance string) *Client {
	conn = wire.Undated(conn)
	return &Client{
		caller: wire.Caller{Conn: conn, Instance: instance},
		rpc:    compressv1.NewCompressorClient(conn),
	}
}

// Formats lists the formats of the instance, the default one first.
func (c *Client) Formats(ctx context.Context) ([]Format, error) {
	resp, err := c.rpc.Describe(ctx, &compressv1.DescribeRequest{Instance: c.caller.Instance})
	if err != nil {
		return nil, c.caller.Ended(ctx, "", err)
	}
	var out []Format
	for _, f := range resp.GetFormats() {
		format := Format{
			ID: f.GetId(), Magic: f.GetMagic(), MagicOffset: f.GetMagicOffset(), Extension: f.GetExtension(),
			CanCompress: f.GetCanCompress(), CanDecompress: f.GetCanDecompress(),
		}
		if l := f.GetLevels(); l != nil {
			format.Levels = &Levels{
				Min: int(l.GetMinimum()), Max: int(l.GetMaximum()), Low: int(l.GetLow()), Medium: int(l.GetMedium()),
				High: int(l.GetHigh()),
			}
		}
		out = append(out, format)
	}
	return out, nil
}

// CompressFile encodes a file. On failure there is no destination, with two exceptions: a crash can leave a part of it,
// and a call that is cancelled in its last moment the whole.
func (c *Client) CompressFile(ctx context.Context, req FileRequest) (FileResult, error) {
	op := c.caller.Op(req.Op)
	resp, err := c.rpc.CompressFile(ctx, &compressv1.CompressFileRequest{
		Instance: c.caller.Instance, Op: op, Source: req.Source, Destination: req.Destination, Format: req.Format,
		Level: int32(req.Level),
	})
	if err == nil {
		err = wire.Err(resp.GetDiagnostics())
	}
	return fileResult(resp.GetResult()), c.caller.Ended(ctx, op, err)
}

// DecompressFile decodes a file; the level is not looked at. On failure the destination is as with CompressFile.
func (c *Client) DecompressFile(ctx context.Context, req FileRequest) (FileResult, error) {
	op := c.caller.Op(req.Op)
	resp, err := c.rpc.DecompressFile(ctx, &compressv1.DecompressFileRequest{
		Instance: c.caller.Instance, Op: op, Source: req.Source, Destination: req.Destination, Format: req.Format,
	})
	if err == nil {
		err = wire.Err(resp.GetDiagnostics())
	}
	return fileResult(resp.GetResult()), c.caller.Ended(ctx, op, err)
}

// TestFile decodes a file and throws the result away; Destination and Level are not looked at.
func (c *Client) TestFile(ctx context.Context, req FileRequest) (FileResult, error) {
	op := c.caller.Op(req.Op)
	resp, err := c.rpc.TestFile(ctx, &compressv1.TestFileRequest{
		Instance: c.caller.Instance, Op: op, Source: req.Source, Format: req.Format,
	})
	if err == nil {
		err = wire.Err(resp.GetDiagnostics())
	}
	return fileResult(resp.GetResult()), c.caller.Ended(ctx, op, err)
}

// Close closes the instance; its running calls end.
func (c *Client) Close(ctx context.Context) error { return c.caller.Close(ctx) }

func fileResult(r *compressv1.FileResult) FileResult {
	return FileResult{PlainBytes: r.GetPlainBytes(), EncodedBytes: r.GetEncodedBytes(), PlainCRC32: r.GetPlainCrc32()}
}
