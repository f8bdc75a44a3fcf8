package wire

import (
	"context"

	"google.golang.org/grpc"
)

// Undated returns conn for calls that end when their context ends, and not before. gRPC tells the plugin the deadline of
// a call, and the plugin's timer may fire a moment before ours: the answer would be that of a plugin that failed, and
// nobody would wait until it has stopped what it runs.
func Undated(conn grpc.ClientConnInterface) grpc.ClientConnInterface { return undated{conn} }

type undated struct{ conn grpc.ClientConnInterface }

// Invoke makes a call that ends with ctx.
func (u undated) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	ctx, cancel := withoutDeadline(ctx)
	defer cancel()
	return u.conn.Invoke(ctx, method, args, reply, opts...)
}

// NewStream opens a stream that ends with ctx. Its caller ends ctx when it is done with the stream.
func (u undated) NewStream(
	ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	ctx, cancel := withoutDeadline(ctx)
	stream, err := u.conn.NewStream(ctx, desc, method, opts...)
	if err != nil {
		cancel()
	}
	return stream, err
}

// withoutDeadline returns a context that is cancelled when ctx has ended.
func withoutDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	undated, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	return undated, func() { stop(); cancel() }
}
