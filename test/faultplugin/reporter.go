package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/barman-go/barman/sdk/hook"
	"github.com/barman-go/barman/sdk/plugin"
)

// reporter is a hook that tells what it sees.
type reporter struct{ env plugin.Env }

func (r *reporter) Events() []string { return nil }

func (r *reporter) Run(ctx context.Context, ev hook.Event, out hook.Output) hook.Result {
	switch what := ev.Environment["FAULT"]; what {
	case "env":
		for _, e := range os.Environ() {
			out.Line(e, false)
		}
	case "stdin":
		b, err := io.ReadAll(os.Stdin)
		out.Line(fmt.Sprintf("%d bytes, %v", len(b), err), false)
	case "open":
		out.Line(r.env.Server, false)
		out.Line(r.env.WorkDir, false)
		out.Line(strings.Join(r.env.PathPrefix, ":"), false)
		out.Line(r.env.Config.String("token"), true)
	case "log":
		r.env.Log.Warn("a warning", "n", 5)
		r.env.Log.Debug("a detail")
	case "huge":
		out.Line(strings.Repeat("x", 20<<20), false)
	case "outcome":
		n, _ := strconv.Atoi(ev.Environment["OUTCOME"])
		return hook.Result{Outcome: hook.Outcome(n), ExitCode: n, Err: fmt.Errorf("as asked")}
	default:
		if err := (fault{name: what, marker: ev.Environment["MARKER"]}).commit(ctx); err != nil {
			return hook.Result{Outcome: hook.Failure, Err: err}
		}
	}
	return hook.Result{Outcome: hook.Success}
}
