package filecopy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/barman-go/barman/plugins/transfer/internal/hostfiles"
	"github.com/barman-go/barman/sdk/toolexec"
	"github.com/barman-go/barman/sdk/transfer"
)

// MinimumRsync is the oldest rsync of the Barman host whose output is understood.
const MinimumRsync = "3.1.0"

// Check implements transfer.Transfer. For the plugin "rsync" the first rows are those of the Barman manual: `ssh`, and
// `ssh output clean` when it is not.
func (c *Copier) Check(ctx context.Context, req transfer.CheckRequest) ([]transfer.CheckRow, error) {
	rows := []transfer.CheckRow{c.checkRsync(ctx, "rsync", nil)}
	if !c.remote {
		return rows, ctx.Err()
	}
	remote := hostfiles.Unattended(req.Remote)
	ssh, reached := c.checkSSH(ctx, remote)
	rows = append(ssh, rows...)
	if reached {
		rows = append(rows, c.checkRsync(ctx, "rsync on PostgreSQL server", remote))
	}
	return rows, ctx.Err()
}

func (c *Copier) checkSSH(ctx context.Context, remote []string) (rows []transfer.CheckRow, reached bool) {
	if len(remote) == 0 {
		return []transfer.CheckRow{{Label: "ssh", Hint: "ssh_command is not set"}}, false
	}
	out, said, code, err := c.probe(ctx, remote, "true")
	if err != nil {
		hint := fmt.Sprintf("Connection failed using '%s' return code %d", strings.Join(remote, " "), code)
		if errors.Is(err, toolexec.ErrNotFound) {
			hint = err.Error()
		} else if len(said) > 0 {
			hint += ": " + said[len(said)-1]
		}
		return []transfer.CheckRow{{Label: "ssh", Hint: hint}}, false
	}
	clean := transfer.CheckRow{Label: "ssh output clean", OK: len(out) == 0 && len(said) == 0, OnlyFailure: true}
	if !clean.OK {
		clean.Hint = "the configured ssh_command must not add anything to the remote command output"
	}
	return []transfer.CheckRow{{Label: "ssh", OK: true, Hint: "PostgreSQL server"}, clean}, true
}

// checkRsync asks rsync for its version, here or through the remote command.
func (c *Copier) checkRsync(ctx context.Context, label string, remote []string) transfer.CheckRow {
	row := transfer.CheckRow{Label: label, OnlyFailure: true}
	command, args, minimum := []string{"rsync"}, []string{"--version"}, MinimumRsync
	if len(remote) > 0 {
		// The other side may be older; only what it says about its options must be understood.
		command, args, minimum = remote, []string{"rsync --version"}, "3.0.0"
	}
	out, said, code, err := c.probe(ctx, command, args...)
	switch version := rsyncVersion(out); {
	case errors.Is(err, toolexec.ErrNotFound):
		row.Hint = err.Error()
	case err != nil:
		row.Hint = fmt.Sprintf("rsync --version ended with code %d: %s", code, strings.Join(said, " "))
	case version == "":
		row.Hint = fmt.Sprintf("rsync --version did not tell a version but %q", firstLine(out))
	case older(version, minimum):
		row.Hint = fmt.Sprintf("rsync %s is too old, %s or later is needed", version, minimum)
	default:
		row.OK = true
	}
	return row
}

// probe runs a harmless command and returns what it says.
func (c *Copier) probe(ctx context.Context, command []string, args ...string) (out []byte, said []string, code int, err error) {
	var buf bytes.Buffer
	code, err = toolexec.Run(ctx, toolexec.Command{
		Name: command[0], Args: slices.Concat(command[1:], args), PathPrefix: c.env.PathPrefix,
		Stdout: &buf, OnStderr: func(line string) { said = append(said, line) },
	})
	return buf.Bytes(), said, code, err
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

// older compares versions of numbers and dots.
func older(a, b string) bool {
	numbers := func(s string) (n []int) {
		for part := range strings.SplitSeq(s, ".") {
			v, _ := strconv.Atoi(part)
			n = append(n, v)
		}
		return n
	}
	return slices.Compare(numbers(a), numbers(b)) < 0
}
