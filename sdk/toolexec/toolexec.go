package toolexec

import (
	"context"
	"errors"
	"io"
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
	// Dir is the working directory; empty means that of this process.
	Dir string
	// Stdin is /dev/null when nil. An *os.File is passed directly, without a copy through this process.
	Stdin io.Reader
	// Stdout is /dev/null when nil. An *os.File is passed directly.
	Stdout io.Writer
	// OnStderr receives each line of standard error, without its end; may be nil.
	OnStderr func(line string)
	// Grace is the time between SIGTERM and SIGKILL when the context ends; 0 means DefaultGrace.
	Grace time.Duration
	// AcceptExit are exit codes besides 0 that are not an error.
	AcceptExit []int
}

// DefaultGrace is the time that a tool gets to stop by itself.
const DefaultGrace = 5 * time.Second

// ErrNotFound means that the tool is in none of the directories; the error's text lists them.
var ErrNotFound = errors.New("tool not found")

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

// Run runs the command and waits for it. It returns the exit code, and an *ExitError unless the code is 0 or accepted,
// ErrNotFound when there is no such tool, or the context's error when the context ended first; by then every process of
// the tool's group is gone.
func Run(ctx context.Context, c Command) (int, error) { panic("being written") }

// LookPath finds a tool in the directories of prefix and then in PATH.
func LookPath(name string, prefix []string) (string, error) { panic("being written") }
