package plugin

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/barman-go/barman/sdk/session"
)

// shutdownGrace is how long calls may take to end when the plugin must exit; then everything is killed.
const shutdownGrace = 2 * time.Second

// Serve runs the plugin and exits the process: after the host told it to, when the host is gone, or, on the command line,
// after printing what was asked for. It is the only call in main.
func Serve(def Definition) {
	os.Exit(serve(def))
}

func serve(def Definition) int {
	if err := def.Check(); err != nil {
		fmt.Fprintf(os.Stderr, "mistake in the definition of this plugin:\n%v\n", err)
		return 2
	}
	if len(os.Args) > 1 || os.Getenv(CookieKey) != CookieValue {
		return commandLine(def, os.Args[1:], os.Stdout, os.Stderr)
	}
	log := hostLogger(os.Stderr)
	guard, err := guardStdout(log)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	nameProcess(def.Executable())

	base, cancel := context.WithCancel(context.Background())
	svc := newService(base, def, log)
	end := sync.OnceFunc(func() { shutDown(cancel, svc) })
	go exitWithoutHost(log, end)
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: goplugin.HandshakeConfig{
			ProtocolVersion: ProtocolVersion, MagicCookieKey: CookieKey, MagicCookieValue: CookieValue,
		},
		Plugins: goplugin.PluginSet{"barman": &registration{svc: svc}},
		// go-plugin's own chatter is of no use to anybody who reads Barman's log.
		Logger: hclog.New(&hclog.LoggerOptions{Output: os.Stderr, JSONFormat: true, Level: hclog.Warn}),
		GRPCServer: func(o []grpc.ServerOption) *grpc.Server {
			forgetHandshake()
			o = append(o, serverOptions()...)
			return grpc.NewServer(append(o, afterHandshake(guard)...)...)
		},
	})
	end()
	select {
	case <-guard.ready:
		return 0
	default:
		// go-plugin returned before the handshake; it has logged why.
		return 1
	}
}

// shutDown ends what runs: calls get shutdownGrace to stop their tools, what is left then is killed.
func shutDown(cancel context.CancelFunc, svc *service) {
	cancel()
	svc.instances.closeAll(shutdownGrace)
	if sid, _, errno := syscall.Syscall(syscall.SYS_GETSID, 0, 0, 0); errno == 0 && int(sid) == os.Getpid() {
		session.Kill(int(sid), os.Getpid())
	}
}

// exitWithoutHost ends the process when the host is gone, and on SIGTERM, which the kernel sends when the host's thread
// dies. Without SIGPIPE being caught, the first log line after the host's death would end the plugin before it has
// stopped its tools.
func exitWithoutHost(log hclog.Logger, end func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	reason := "the host is gone"
	select {
	case <-watchHost():
	case <-signals:
		reason = "terminated"
	}
	log.Debug("stopping", "reason", reason)
	end()
	os.Exit(1)
}

// registration is a go-plugin plugin that registers gRPC services and nothing else.
type registration struct {
	goplugin.NetRPCUnsupportedPlugin
	svc *service
}

// GRPCServer registers the services.
func (r *registration) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	r.svc.register(s)
	return nil
}

// GRPCClient is the host's side, which is not here.
func (r *registration) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, fmt.Errorf("the plugin side has no client")
}

// afterHandshake restores standard output and error with the first call, when go-plugin is done with them.
func afterHandshake(guard *stdoutGuard) []grpc.ServerOption {
	restore := sync.OnceFunc(guard.restore)
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(
			func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
				restore()
				return handler(ctx, req)
			}),
		grpc.ChainStreamInterceptor(
			func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
				restore()
				return handler(srv, stream)
			}),
	}
}

// hostLogger logs in the form that the host understands, at the host's level.
func hostLogger(stderr io.Writer) hclog.Logger {
	level := hclog.LevelFromString(os.Getenv(LogLevelKey))
	if level == hclog.NoLevel {
		level = hclog.Info
	}
	return hclog.New(&hclog.LoggerOptions{Output: stderr, JSONFormat: true, Level: level})
}

// forgetHandshake removes the variables of the handshake, so that tools do not inherit them. go-plugin has read them.
func forgetHandshake() {
	for _, name := range []string{
		CookieKey, "PLUGIN_MIN_PORT", "PLUGIN_MAX_PORT", "PLUGIN_PROTOCOL_VERSIONS", "PLUGIN_UNIX_SOCKET_DIR",
	} {
		_ = os.Unsetenv(name)
	}
}

// nameProcess sets the name that ps and top show; the host executes a file descriptor, whose name is a number.
func nameProcess(name string) {
	// The kernel cuts it to 15 bytes. Failure has no consequence.
	_ = os.WriteFile("/proc/self/comm", []byte(name), 0)
}
