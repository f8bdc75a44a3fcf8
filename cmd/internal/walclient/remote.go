package walclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/barman-go/barman/sdk/toolexec"
)

// sshFailed is the exit code with which ssh says that it, not the remote command, has failed.
const sshFailed = 255

// Remote is barman on another host, as the options of a client describe it.
type Remote struct {
	Host, User string
	// Port is ssh's; 0 leaves it to ssh's configuration.
	Port uint16
	// Config is barman's configuration file over there; empty leaves it to barman.
	Config string
}

// AddFlags adds the options that describe the remote barman.
func (r *Remote) AddFlags(fl *pflag.FlagSet) {
	fl.StringVarP(&r.User, "user", "U", "barman", "log in on the Barman host as `USER`")
	fl.Var((*port)(&r.Port), "port", "ssh `PORT` of the Barman host")
	fl.StringVarP(&r.Config, "config", "c", "", "configuration `FILE` on the Barman host")
}

// port is the value of --port; the default, 0, is none.
type port uint16

// Set reads a port number.
func (p *port) Set(text string) error {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return fmt.Errorf("'%s' is not a port", text)
	}
	*p = port(n)
	return nil
}

// Type names the value in the help.
func (*port) Type() string { return "PORT" }

// String is empty for the default.
func (p *port) String() string {
	if *p == 0 {
		return ""
	}
	return strconv.Itoa(int(*p))
}

// Args are the arguments of ssh that run barman with further words. ssh joins them with blanks, and the remote user's shell
// reads the line: what may hold blanks must come through Quote.
func (r *Remote) Args(barman ...string) []string {
	var args []string
	if r.Port != 0 {
		args = append(args, "-p", strconv.Itoa(int(r.Port)))
	}
	args = append(args, "-q", "-T", r.User+"@"+r.Host, "barman")
	return append(args, barman...)
}

// Quote makes text one word of the remote shell.
func Quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// Word is Quote for what Python's clients pass without quotes: text stays as it is unless the shell would split or change it.
func Word(text string) string {
	plain := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("_-./:@%+,=", c)
	}
	if text != "" && strings.TrimLeftFunc(text, plain) == "" {
		return text
	}
	return Quote(text)
}

// SSHError means that ssh could not be started, or that a signal ended it.
type SSHError struct{ Err error }

func (e *SSHError) Error() string { return fmt.Sprintf("Error executing ssh: %v", e.Err) }

// Unwrap gives the reason.
func (e *SSHError) Unwrap() error { return e.Err }

// Session is one call of ssh.
type Session struct {
	// Args are those of Remote.Args.
	Args []string
	// Stdin and Stdout may be nil. An *os.File is handed to ssh as it is.
	Stdin  io.Reader
	Stdout io.Writer
	// Stderr receives what the remote side says, line by line; nil drops it.
	Stderr io.Writer
}

// Run runs ssh to its end and returns its exit code: the remote command's, or 255 when ssh has failed itself. The error is an
// *SSHError when there is no exit code, and that of the context when it ended first; ssh is gone by then.
func (s *Session) Run(ctx context.Context) (int, error) {
	command := toolexec.Command{Name: "ssh", Args: s.Args, Stdin: s.Stdin, Stdout: s.Stdout}
	if s.Stderr != nil {
		command.OnStderr = func(line string) { fmt.Fprintln(s.Stderr, line) }
	}
	code, err := toolexec.Run(ctx, command)
	var exit *toolexec.ExitError
	switch {
	case err == nil:
		return code, nil
	case errors.As(err, &exit) && exit.Signal == "":
		return code, nil
	case ctx.Err() != nil:
		return -1, context.Cause(ctx)
	case errors.As(err, &exit):
		return -1, &SSHError{fmt.Errorf("terminated by signal %s", exit.Signal)}
	}
	return -1, &SSHError{err}
}

// Test runs "barman … --test" and ends the program with the exit code of ssh, whatever it is: people call it, not PostgreSQL.
func Test(ctx context.Context, stdout, stderr io.Writer, args []string) error {
	s := Session{Args: args, Stdout: stdout, Stderr: stderr}
	code, err := s.Run(ctx)
	if err != nil {
		return &ExitError{Code: ExitLocal, Text: err.Error()}
	}
	if code != 0 {
		return &ExitError{Code: code}
	}
	return nil
}

// Failure turns an exit code of ssh other than 0 into the error that ends a client. command is what was called, for the message;
// unreachable is the exit code of this client for "no connection".
func Failure(code int, command string, unreachable int) *ExitError {
	switch {
	case code == sshFailed:
		return &ExitError{Code: unreachable, Text: "Connection problem with ssh"}
	case code > maxExit:
		// 127: there is no barman over there.
		return &ExitError{Code: ExitLocal, Text: fmt.Sprintf("Remote '%s' command has failed with exit code %d!", command, code)}
	}
	return &ExitError{Code: code, Text: fmt.Sprintf("Remote '%s' command has failed!", command)}
}
