package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/barman-go/barman/sdk/hook"
	"github.com/barman-go/barman/sdk/plugin"
	"github.com/barman-go/barman/sdk/schema"
	"github.com/barman-go/barman/sdk/toolexec"
)

func main() { plugin.Serve(definition()) }

func definition() plugin.Definition {
	return plugin.Definition{
		Name: "script", Version: "1.0.0", Summary: "runs a shell command", License: "Apache-2.0",
		Tools: []plugin.Tool{{Name: "sh", Required: true}},
		Schema: schema.Schema{{
			Name: "command", Type: schema.String, Required: true, Help: "Shell command to run; may have arguments, pipes and quotes.",
		}},
		Hook: func(_ context.Context, env plugin.Env) (hook.Hook, error) {
			return script{command: env.Config.String("command"), path: env.PathPrefix}, nil
		},
	}
}

type script struct {
	command string
	path    []string
}

// Events accepts all.
func (script) Events() []string { return nil }

// Run runs the command once.
func (s script) Run(ctx context.Context, ev hook.Event, out hook.Output) hook.Result {
	stdout := &lines{out: out}
	code, err := toolexec.Run(ctx, toolexec.Command{
		Name: "/bin/sh", Args: []string{"-c", s.command}, WholeEnv: environment(ev.Environment, s.path),
		Dir:    directory(ev.Environment["PWD"]),
		Stdout: stdout, OnStderr: func(line string) { out.Line(printable(line), true) },
		AcceptExit: []int{hook.ExitAbortContinue, hook.ExitAbortStop}, LeaveBackground: true,
	})
	stdout.finish()
	return result(code, err)
}

// directory is where Barman was started, so that a relative path in the command means the same as on the command line.
// Plugins themselves run in the root directory.
func directory(pwd string) string {
	if info, err := os.Stat(pwd); err != nil || !info.IsDir() || !filepath.IsAbs(pwd) {
		return ""
	}
	return pwd
}

func result(code int, err error) hook.Result {
	var exit *toolexec.ExitError
	switch {
	case err == nil && code == hook.ExitSuccess:
		return hook.Result{Outcome: hook.Success}
	case err == nil && code == hook.ExitAbortContinue:
		return hook.Result{Outcome: hook.AbortContinue, ExitCode: code}
	case err == nil && code == hook.ExitAbortStop:
		return hook.Result{Outcome: hook.AbortStop, ExitCode: code}
	case errors.As(err, &exit) && exit.Signal != "":
		return hook.Result{Outcome: hook.Failure, ExitCode: code, Err: fmt.Errorf("the script was killed by %s", exit.Signal)}
	case errors.As(err, &exit):
		// The lines of standard error are in the log already.
		return hook.Result{Outcome: hook.Failure, ExitCode: code, Err: fmt.Errorf("the script ended with exit code %d", code)}
	}
	return hook.Result{Outcome: hook.Failure, ExitCode: code, Err: err}
}
