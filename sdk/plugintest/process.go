package plugintest

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/barman-go/barman/sdk/compress"
	"github.com/barman-go/barman/sdk/hook"
	"github.com/barman-go/barman/sdk/plugin"
	"github.com/barman-go/barman/sdk/session"
	"github.com/barman-go/barman/sdk/transfer"
)

const (
	// readyWithin is how long the handshake may take, on a slow machine.
	readyWithin = 60 * time.Second
	// goneWithin is how long a plugin may take to exit, with all that it started.
	goneWithin = 5 * time.Second
)

// process is a running plugin.
type process struct {
	settings *settings
	cmd      *exec.Cmd
	conn     *grpc.ClientConn
	base     *plugin.Client
	alive    *os.File
	exited   chan struct{}

	mu     sync.Mutex
	stdout []string
	stderr []string
}

// start starts the executable as Barman does and connects to it.
func start(t *testing.T, s *settings) *process {
	t.Helper()
	// A socket's path has at most 107 bytes, which a test's own directory can exceed.
	dir, err := os.MkdirTemp("/tmp", "plugintest-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	theirs := os.NewFile(uintptr(pair[0]), "liveness")
	p := &process{
		settings: s, cmd: exec.Command(s.binary), alive: os.NewFile(uintptr(pair[1]), "liveness"), exited: make(chan struct{}),
	}
	p.cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "PLUGIN_UNIX_SOCKET_DIR=" + dir, "PLUGIN_PROTOCOL_VERSIONS=1",
		"PLUGIN_MIN_PORT=10000", "PLUGIN_MAX_PORT=25000",
		plugin.CookieKey + "=" + plugin.CookieValue, plugin.LivenessKey + "=3", plugin.LogLevelKey + "=debug",
	}
	p.cmd.ExtraFiles = []*os.File{theirs}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGTERM}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = theirs.Close()
	t.Cleanup(p.kill)

	first := make(chan string, 1)
	var reading sync.WaitGroup
	reading.Go(func() { p.readStdout(bufio.NewScanner(stdout), first) })
	reading.Go(func() { p.readStderr(bufio.NewScanner(stderr)) })
	go func() {
		reading.Wait()
		_ = p.cmd.Wait()
		close(p.exited)
	}()
	p.connect(t, dir, first)
	return p
}

func (p *process) connect(t *testing.T, dir string, first <-chan string) {
	t.Helper()
	var line string
	select {
	case line = <-first:
	case <-time.After(readyWithin):
		t.Fatalf("no handshake within %s", readyWithin)
	}
	parts := strings.Split(line, "|")
	if len(parts) < 5 || parts[0] != "1" || parts[1] != fmt.Sprint(plugin.ProtocolVersion) || parts[2] != "unix" ||
		filepath.Dir(parts[3]) != dir || parts[4] != "grpc" {
		t.Fatalf("the first line on standard output must be 1|%d|unix|SOCKET in PLUGIN_UNIX_SOCKET_DIR|grpc|, found %q; stderr:\n%s",
			plugin.ProtocolVersion, line, p.said())
	}
	var err error
	p.conn, err = grpc.NewClient("passthrough:///plugin",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", parts[3])
		}),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(plugin.MaxMessage), grpc.MaxCallSendMsgSize(plugin.MaxMessage)))
	if err != nil {
		t.Fatal(err)
	}
	p.base = plugin.NewClient(p.conn)
}

func (p *process) readStdout(lines *bufio.Scanner, first chan<- string) {
	for n := 0; lines.Scan(); n++ {
		if n == 0 {
			first <- lines.Text()
			continue
		}
		p.mu.Lock()
		p.stdout = append(p.stdout, lines.Text())
		p.mu.Unlock()
	}
	close(first)
}

func (p *process) readStderr(lines *bufio.Scanner) {
	for lines.Scan() {
		p.mu.Lock()
		p.stderr = append(p.stderr, lines.Text())
		p.mu.Unlock()
	}
}

func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.stderr, "\n")
}

// open opens an instance with the configuration of the test.
func (p *process) open(t *testing.T) string {
	t.Helper()
	id, found, err := p.base.Open(t.Context(), plugin.OpenRequest{
		Config: p.settings.config, Server: "main", PathPrefix: p.settings.pathPrefix, WorkDir: t.TempDir(),
	})
	if err != nil || found.HasErrors() {
		t.Fatalf("Open: %v %v; pass the options that it needs with WithConfig", err, found.Err())
	}
	return id
}

// describeInstance makes the simplest call of an instance.
func (p *process) describeInstance(t *testing.T, id string) (err error) {
	switch p.settings.info.Type {
	case plugin.TypeCompress:
		_, err = compress.NewClient(p.conn, id).Formats(t.Context())
	case plugin.TypeTransfer:
		_, err = transfer.NewClient(p.conn, id).Describe(t.Context())
	default:
		_, err = hook.NewClient(p.conn, id).Events(t.Context())
	}
	return err
}

// shutdown is how go-plugin ends a plugin. The answer may be lost with the connection.
func (p *process) shutdown() {
	_ = p.conn.Invoke(context.Background(), "/plugin.GRPCController/Shutdown", &emptypb.Empty{}, &emptypb.Empty{})
}

// loseHost is what a plugin sees when Barman is killed.
func (p *process) loseHost() { _ = p.alive.Close() }

// waitForEnd checks that the process exits and leaves nothing in its session.
func (p *process) waitForEnd(t *testing.T) {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(goneWithin):
		t.Errorf("it still runs after %s; stderr:\n%s", goneWithin, p.said())
		return
	}
	if left := session.Members(p.cmd.Process.Pid); len(left) > 0 {
		t.Errorf("it left processes: %v", left)
	}
}

// stop ends the plugin and checks what it printed.
func (p *process) stop(t *testing.T) {
	t.Helper()
	p.shutdown()
	p.waitForEnd(t)
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.stdout) > 0 {
		t.Errorf("it printed on standard output after the handshake: %q", p.stdout)
	}
}

func (p *process) kill() {
	if p.conn != nil {
		_ = p.conn.Close()
	}
	_ = p.alive.Close()
	select {
	case <-p.exited:
	default:
		session.Kill(p.cmd.Process.Pid, 0)
		<-p.exited
	}
}
