package recovery

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/barman-go/barman/sdk/toolexec"
)

// hostFacts are what a shell on a host tells about it.
type hostFacts struct {
	// user is the one whose shell it is; empty when unknown.
	user string
	// tools are the programs that are there, with what each says about itself; that may be nothing.
	tools map[string]string
	// postgres are the versions of PostgreSQL that are installed, such as "15.14".
	postgres []string
	// listening tells whether something listens on the port that was asked about.
	listening bool
}

// factMark begins the lines of the answer, so that nothing else that a login shell prints is taken for one.
const factMark = "barman-fact\t"

// factsProgram are the functions of the question. They need no more than a POSIX shell; a program that is missing makes a fact
// unknown, not the answer wrong.
const factsProgram = `tell() { printf '` + "barman-fact\\t" + `%s\t%s\n' "$1" "$2"; }
tool() {
	if command -v "$1" >/dev/null 2>&1; then
		name=$1
		if [ $# -gt 1 ]; then tell "tool $name" "$("$@" 2>&1 </dev/null)"; else tell "tool $name" ""; fi
	fi
}
tell user "$(id -un 2>/dev/null)"
for server in /usr/lib/postgresql/*/bin/postgres /usr/pgsql-*/bin/postgres "$(command -v postgres)"; do
	if [ -x "$server" ]; then tell postgres "$("$server" --version 2>/dev/null </dev/null)"; fi
done
`

// askFacts asks a host, in one session, for what needs are made of, and whether something listens on a port (0: not asked). An
// error is one of the connection.
func (r *Restorer) askFacts(ctx context.Context, remote []string, needs []need, port int) (*hostFacts, error) {
	var script strings.Builder
	script.WriteString(factsProgram)
	for _, n := range needs {
		words := []string{"tool", toolexec.ShellWord(n.name)}
		script.WriteString(strings.Join(append(words, n.ask...), " ") + "\n")
	}
	if port != 0 {
		// The tables of Linux; elsewhere nothing is known. 0A is TCP_LISTEN.
		fmt.Fprintf(&script, "if grep -qs ' [0-9A-F]*:%04X [0-9A-F]*:[0-9A-F]* 0A ' /proc/net/tcp /proc/net/tcp6; then tell listening yes; fi\n", port)
	}
	script.WriteString("true")
	command := toolexec.Command{Name: "/bin/sh", Args: []string{"-c", "LC_ALL=C; export LC_ALL; " + script.String()}, PathPrefix: r.PathPrefix}
	if len(remote) > 0 {
		command.Name, command.Args = remote[0], append(slices.Clone(remote[1:]), remoteShell(script.String()))
	}
	var out bytes.Buffer
	command.Stdout = &out
	if _, err := toolexec.Run(ctx, command); err != nil {
		return nil, err
	}
	return parseFacts(out.String()), nil
}

func parseFacts(answer string) *hostFacts {
	f := &hostFacts{tools: map[string]string{}}
	for line := range strings.Lines(answer) {
		fact, ok := strings.CutPrefix(strings.TrimRight(line, "\r\n"), factMark)
		if !ok {
			continue // the rest of what a program says about itself
		}
		name, value, _ := strings.Cut(fact, "\t")
		tool, isTool := strings.CutPrefix(name, "tool ")
		switch {
		case isTool:
			f.tools[tool] = value
		case name == "user":
			f.user = value
		case name == "listening":
			f.listening = true
		case name == "postgres":
			if v := versionIn(value); v != "" && !slices.Contains(f.postgres, v) {
				f.postgres = append(f.postgres, v)
			}
		}
	}
	return f
}
