package plugin

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"regexp"
	"sync"
	"syscall"

	"github.com/hashicorp/go-hclog"
)

// handshakeLine is what go-plugin prints: core version | protocol version | network | address | "grpc" | …
var handshakeLine = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^\d+\|\d+\|(unix|tcp)\|[^|]+\|grpc(\|.*)?$`)
})

// stdoutGuard keeps everything but the handshake off the real standard output. Whatever else is printed there, by the
// author's code or by a tool, goes to the log, so that a forgotten debug print does not keep a plugin from starting.
type stdoutGuard struct {
	// writer takes the place of os.Stdout.
	writer *os.File
	// stderr is the real standard error; go-plugin replaces os.Stderr, too.
	stderr *os.File
	// ready is closed once the handshake is out.
	ready chan struct{}
}

// guardStdout replaces os.Stdout and file descriptor 1.
func guardStdout(log hclog.Logger) (*stdoutGuard, error) {
	fd, err := syscall.Dup(1)
	if err != nil {
		return nil, fmt.Errorf("standard output: %w", err)
	}
	syscall.CloseOnExec(fd)
	handshake := os.NewFile(uintptr(fd), "handshake")
	// Tools inherit descriptor 1, not os.Stdout.
	if err := syscall.Dup3(2, 1, 0); err != nil {
		return nil, fmt.Errorf("standard output: %w", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	g := &stdoutGuard{writer: w, stderr: os.Stderr, ready: make(chan struct{})}
	os.Stdout = w
	go g.filter(r, handshake, log)
	return g, nil
}

func (g *stdoutGuard) filter(r io.Reader, handshake *os.File, log hclog.Logger) {
	shaken := false
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		text := trimLine(line)
		switch {
		case !shaken && handshakeLine().MatchString(text):
			shaken = true
			_, _ = handshake.WriteString(text + "\n")
			_ = handshake.Close()
			close(g.ready)
		case text != "":
			log.Warn("the plugin printed to standard output", "text", text)
		}
		if err != nil {
			return
		}
	}
}

// restore undoes go-plugin's own replacement of os.Stdout and os.Stderr, which sends them through gRPC and so loses the
// last words of a dying plugin.
func (g *stdoutGuard) restore() {
	os.Stdout, os.Stderr = g.writer, g.stderr
}

func trimLine(s string) string {
	for len(s) > 0 && (s[len(s)-1] == '\n' || s[len(s)-1] == '\r') {
		s = s[:len(s)-1]
	}
	return s
}
