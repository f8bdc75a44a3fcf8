package wire

import (
	"context"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/emptypb"
)

func TestDeadlineStaysOnThisSide(t *testing.T) {
	dated := make(chan bool, 1)
	ended := make(chan struct{}, 1)
	server := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		_, has := stream.Context().Deadline()
		dated <- has
		<-stream.Context().Done()
		ended <- struct{}{}
		return stream.Context().Err()
	}))
	listener := bufconn.Listen(1 << 16)
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()
	dialed, err := grpc.NewClient("passthrough:plugin", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	defer dialed.Close()
	conn := Undated(dialed)
	calls := map[string]func(context.Context) error{
		"call": func(ctx context.Context) error {
			return conn.Invoke(ctx, "/service/call", new(emptypb.Empty), new(emptypb.Empty))
		},
		"stream": func(ctx context.Context) error {
			stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/service/stream")
			if err != nil {
				return err
			}
			if err := stream.SendMsg(new(emptypb.Empty)); err != nil {
				return err
			}
			return stream.RecvMsg(new(emptypb.Empty))
		},
	}
	for name, call := range calls {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		err := call(ctx)
		if status.Code(err) != codes.Canceled || ctx.Err() == nil {
			t.Errorf("%s: error %v, context %v", name, err, ctx.Err())
		}
		cancel()
		if <-dated {
			t.Errorf("%s: the plugin was told the deadline", name)
		}
		<-ended // the plugin learns of the end all the same
	}
}
