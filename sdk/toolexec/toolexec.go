package toolexec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Command is one run of a tool.
type Command struct {
	// Name is a program's name, looked up with LookPath, or an absolute path.
	Name string
	// Args are passed as they are, without a shell.
	Args []string
	// PathPrefix are directories looked at before PATH; they also lead the tool's own PATH.
	PathPrefix []string
	// Env is added to the environment of this process ("NAME=value"); secrets belong here, not in Args.
	Env []string
	// WholeEnv, when not nil, is the tool's whole environment, instead of this process's with English messages,
	// PathPrefix and Env. For what is not a tool but somebody's own script.
	WholeEnv []string
	// Dir is the working directory; empty means that of this process.
	Dir string
	// Stdin is /dev/null when nil. An *os.File is passed directly, without a copy through this process. An error from Read, other than
	// io.EOF, stops the tool and is returned.
	Stdin io.Reader
	// Stdout is /dev/null when nil. An *os.File is passed directly. An error from Write stops the tool and is returned.
	Stdout io.Writer
	// OnStderr receives each line of standard error, without its end (line feed or carriage return), in order and from
	// one goroutine that has ended when Run returns; may be nil.
	OnStderr func(line string)
	// Grace is the time between SIGTERM and SIGKILL when the context ends; 0 means DefaultGrace.
	Grace time.Duration
	// AcceptExit are exit codes besides 0 that are not an error.
	AcceptExit []int
	// LeaveBackground leaves processes running that the tool started in the background and did not wait for, as a shell
	// does. They are not waited for either, and their output is lost. When the context ends they are stopped all the same.
	LeaveBackground bool
}

// DefaultGrace is the time that a tool gets to stop by itself.
const DefaultGrace = 5 * time.Second

// ExitError means that the tool ran and failed.
type ExitError struct {
	// Tool is the program's name.
	Tool string
	// Code is the exit code, or -1 when a signal ended it.
	Code int
	// Signal is the signal's name, or empty.
	Signal string
	// Stderr are the last lines of standard error.
	Stderr []string
}

// Error says how the tool ended and repeats what it said last.
func (e *ExitError) Error() string {
	how := fmt.Sprintf("exit code %d", e.Code)
	if e.Signal != "" {
		how = "signal " + e.Signal
	}
	if len(e.Stderr) == 0 {
		return fmt.Sprintf("%s ended with %s and no message", e.Tool, how)
	}
	return fmt.Sprintf("%s ended with %s: %s", e.Tool, how, strings.Join(e.Stderr, "\n"))
}

// Run runs the command and waits for it. It returns the exit code, and an *ExitError unless the code is 0 or accepted,
// ErrNotFound when there is no such tool, or the context's error when the context ended first; by then every process of
// the tool's group is gone. Where there is no exit code it is -1.
//
// A process that left the group by itself, such as an ssh control master, is not waited for.
func Run(ctx context.Context, c Command) (int, error) {
	tool := filepath.Base(c.Name)
	if err := ctx.Err(); err != nil {
		return -1, fmt.Errorf("%s not started: %w", tool, err)
	}
	path, err := LookPath(c.Name, c.PathPrefix)
	if err != nil {
		return -1, err
	}
	// The kernel sends the parent-death signal when the *thread* that forked ends. Holding the thread until the tool is
	// reaped makes sure that only the end of this process does.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	stoppable, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	p, err := start(path, tool, c, stop)
	if err != nil {
		return -1, err
	}
	status, stopped := p.wait(stoppable)
	if outputErr := p.outputErr(); outputErr != nil && ctx.Err() == nil {
		return -1, fmt.Errorf("output of %s: %w", tool, outputErr)
	}
	if inputErr := p.input.failure(); inputErr != nil && ctx.Err() == nil {
		return -1, fmt.Errorf("input of %s: %w", tool, inputErr)
	}
	if stopped {
		return -1, fmt.Errorf("%s stopped: %w", tool, ctx.Err())
	}
	code, signal := describe(status)
	if signal == "" && (code == 0 || slices.Contains(c.AcceptExit, code)) {
		return code, nil
	}
	return code, &ExitError{Tool: tool, Code: code, Signal: signal, Stderr: p.stderr.last()}
}

// IsExit returns the exit code when err is, or wraps, an *ExitError.
func IsExit(err error) (code int, ok bool) {
	var e *ExitError
	if !errors.As(err, &e) {
		return 0, false
	}
	return e.Code, true
}
