package plugin

import (
	"context"
	"net"
	"testing"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/barman-go/barman/sdk/internal/wire"
	"github.com/barman-go/barman/sdk/schema"
)

// dial serves a definition in this process, with real gRPC in between.
func dial(t *testing.T, def Definition) *grpc.ClientConn {
	t.Helper()
	if def.Name == "" {
		def.Name, def.Version, def.Summary = "test", "1.0.0", "a test"
	}
	if err := def.Check(); err != nil {
		t.Fatal(err)
	}
	base, cancel := context.WithCancel(context.Background())
	server := grpc.NewServer(serverOptions()...)
	newService(base, def, hclog.NewNullLogger()).register(server)
	listener := bufconn.Listen(1 << 20)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///plugin",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(wire.MaxMessage), grpc.MaxCallSendMsgSize(wire.MaxMessage)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		cancel()
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return conn
}

// openOn opens an instance.
func openOn(t *testing.T, conn *grpc.ClientConn, values schema.Values) string {
	t.Helper()
	id, found, err := NewClient(conn).Open(t.Context(), OpenRequest{Config: values})
	if err != nil || found.HasErrors() {
		t.Fatal(err, found)
	}
	return id
}
