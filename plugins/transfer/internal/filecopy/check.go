package filecopy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/barman-go/barman/sdk/toolexec"
	"github.com/barman-go/barman/sdk/transfer"
)

// MinimumRsync is the oldest rsync of the Barman host whose output is understood.
const MinimumRsync = "3.1.0"

// Check implements transfer.Transfer. For the plugin "rsync" the first rows are those of the Barman manual: `ssh`, and
// `ssh output clean` when it is not.
func (c *Copier) Check(ctx context.Context, req transfer.CheckRequest) ([]transfer.CheckRow, error) {
	local := rsyncRow("rsync", MinimumRsync, c.probe(ctx, []string{"rsync"}, "--version"))
	if !c.remote {
		return []transfer.CheckRow{local}, ctx.Err()
	}
	remote := toolexec.Unattended(req.Remote)
	if len(remote) == 0 {
		return []transfer.CheckRow{{Label: "ssh", Hint: "ssh_command is not set"}, local}, ctx.Err()
	}
	// The other side may be older; only what it says about its options must be understood.
	version := c.probe(ctx, remote, "rsync --version")
	there := rsyncRow("rsync on PostgreSQL server", "3.0.0", version)
	if there.OK && version.clean() {
		return []transfer.CheckRow{sshOK, {Label: sshClean, OK: true, OnlyFailure: true}, local, there}, ctx.Err()
	}
	// Only when something is wrong a second connection tells whether that is ssh or rsync.
	rows, reached := c.checkSSH(ctx, remote)
	rows = append(rows, local)
	if reached {
		rows = append(rows, there)
	}
	return rows, ctx.Err()
}

// sshClean is the label of the row about what a shell's start-up files print.
const sshClean = "ssh output clean"

var sshOK = transfer.CheckRow{Label: "ssh", OK: true, Hint: "PostgreSQL server"}

func (c *Copier) checkSSH(ctx context.Context, remote []string) (rows []transfer.CheckRow, reached bool) {
	a := c.probe(ctx, remote, "true")
	if a.err != nil {
		hint := fmt.Sprintf("Connection failed using '%s' return code %d", strings.Join(remote, " "), a.code)
		if errors.Is(a.err, toolexec.ErrNotFound) {
			hint = a.err.Error()
		} else if len(a.said) > 0 {
			hint += ": " + a.said[len(a.said)-1]
		}
		return []transfer.CheckRow{{Label: "ssh", Hint: hint}}, false
	}
	clean := transfer.CheckRow{Label: sshClean, OK: len(a.out) == 0 && len(a.said) == 0, OnlyFailure: true}
	if !clean.OK {
		clean.Hint = "the configured ssh_command must not add anything to the remote command output"
	}
	return []transfer.CheckRow{sshOK, clean}, true
}

// rsyncRow judges what rsync has said about its version.
func rsyncRow(label, minimum string, a answer) transfer.CheckRow {
	row := transfer.CheckRow{Label: label, OnlyFailure: true}
	switch version := rsyncVersion(a.out); {
	case errors.Is(a.err, toolexec.ErrNotFound):
		row.Hint = a.err.Error()
	case a.err != nil:
		row.Hint = fmt.Sprintf("rsync --version ended with code %d: %s", a.code, strings.Join(a.said, " "))
	case version == "":
		row.Hint = fmt.Sprintf("rsync --version did not tell a version but %q", firstLine(a.out))
	case toolexec.Older(version, minimum):
		row.Hint = fmt.Sprintf("rsync %s is too old, %s or later is needed", version, minimum)
	default:
		row.OK = true
	}
	return row
}

// answer is what a command has said, and how it has ended.
type answer struct {
	out  []byte
	said []string
	code int
	err  error
}

// clean tells that rsync's version is the first that came.
func (a answer) clean() bool {
	at := versionText.FindIndex(a.out)
	return at != nil && at[0] == 0 && len(a.said) == 0
}

// probe runs a harmless command.
func (c *Copier) probe(ctx context.Context, command []string, args ...string) answer {
	var buf bytes.Buffer
	var a answer
	a.code, a.err = toolexec.Run(ctx, toolexec.Command{
		Name: command[0], Args: slices.Concat(command[1:], args), PathPrefix: c.env.PathPrefix,
		Stdout: &buf, OnStderr: func(line string) { a.said = append(a.said, line) },
	})
	a.out = buf.Bytes()
	return a
}

var versionText = regexp.MustCompile(`(?m)^(?:open)?rsync\s+version v?(\d+(?:\.\d+)*)`)

func rsyncVersion(out []byte) string {
	if m := versionText.FindSubmatch(out); m != nil {
		return string(m[1])
	}
	return ""
}

func firstLine(out []byte) string {
	line, _, _ := bytes.Cut(out, []byte("\n"))
	return string(line)
}
