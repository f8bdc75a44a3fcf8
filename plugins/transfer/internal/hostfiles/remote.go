package hostfiles

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/toolexec"
	"github.com/barman-go/barman/sdk/transfer"
)

// program holds the functions that the other host's shell runs.
//
//go:embed program.sh
var program string

// run executes calls of the program's functions. It returns what they print, and the number of steps that succeeded.
func (h Host) run(ctx context.Context, calls string) (answer []byte, steps int, err error) {
	mark := "barman-" + rand.Text()
	script := fmt.Sprintf("{\nmark=%s\n%s\nprintf '%%s\\n' \"$mark\"\n%s\nprintf '%%s' \"$mark\"\n} </dev/null\n",
		mark, program, calls)
	var out bytes.Buffer
	_, err = toolexec.Run(ctx, toolexec.Command{
		Name: h.Remote[0], Args: slices.Concat(h.Remote[1:], []string{"/bin/sh -s"}), PathPrefix: h.PathPrefix,
		Stdin: strings.NewReader(script), Stdout: &out,
	})
	if err != nil {
		return nil, 0, h.failure(err)
	}
	_, answer, begun := bytes.Cut(out.Bytes(), []byte(mark+"\n"))
	answer, ended := bytes.CutSuffix(answer, []byte(mark))
	if !begun || !ended {
		return nil, 0, diag.Diagnostic{
			Severity: diag.Error, Code: diag.CodeConnectionFailed, Retryable: true,
			Summary: fmt.Sprintf("the answer of %q is incomplete", strings.Join(h.Remote, " ")),
			Detail:  "the remote command must run its argument in a shell and pass standard input and output unchanged",
		}
	}
	step := []byte(mark + "+\n")
	return bytes.ReplaceAll(answer, step, nil), bytes.Count(answer, step), nil
}

// failure tells a broken connection from a change that the other host refused.
func (h Host) failure(err error) error {
	if errors.Is(err, toolexec.ErrNotFound) {
		return diag.Diagnostic{
			Severity: diag.Error, Code: diag.CodeToolMissing,
			Summary: fmt.Sprintf("program of the remote command %q is not installed", strings.Join(h.Remote, " ")), Detail: err.Error(),
		}
	}
	code, exited := toolexec.IsExit(err)
	switch {
	case !exited:
		return err
	case code == 255:
		return diag.Diagnostic{
			Severity: diag.Error, Code: diag.CodeConnectionFailed, Retryable: true,
			Summary: fmt.Sprintf("connection failed using %q", strings.Join(h.Remote, " ")), Detail: err.Error(),
		}
	}
	return diag.Diagnostic{
		Severity: diag.Error, Code: codeOf(err.Error()), Summary: "the other host refused", Detail: err.Error(),
	}
}

func codeOf(said string) string {
	if strings.Contains(said, "No space left on device") {
		return diag.CodeNoSpace
	}
	return diag.CodeToolFailed
}

func (h Host) readRemote(ctx context.Context, path string, maxBytes int64) (transfer.FileContent, error) {
	out, _, err := h.run(ctx, fmt.Sprintf("read_file %s %d || exit 1", quote(path), maxBytes))
	if err != nil {
		return transfer.FileContent{}, err
	}
	head, content, _ := bytes.Cut(out, []byte("\n"))
	switch word, mode, _ := strings.Cut(string(head), " "); word {
	case "missing":
		return transfer.FileContent{}, &fs.PathError{Op: "read", Path: path, Err: fs.ErrNotExist}
	case "irregular":
		return transfer.FileContent{}, notRegular(path)
	case "file":
		bits, err := strconv.ParseUint(mode, 8, 32)
		if err != nil {
			return transfer.FileContent{}, fmt.Errorf("mode of %s: %w", path, err)
		}
		if int64(len(content)) > maxBytes {
			return transfer.FileContent{}, tooLarge(path, maxBytes)
		}
		return transfer.FileContent{Content: bytes.Clone(content), Mode: fs.FileMode(bits).Perm()}, nil
	}
	return transfer.FileContent{}, fmt.Errorf("answer for %s is not understood: %q", path, head)
}

func (h Host) applyRemote(ctx context.Context, changes []transfer.FileChange) (int, error) {
	var calls strings.Builder
	for _, c := range changes {
		calls.WriteString("step " + call(c) + "\n")
	}
	said, done, err := h.run(ctx, calls.String())
	if err != nil || done == len(changes) {
		return done, err
	}
	c, detail := changes[done], strings.TrimSpace(string(said))
	return done, diag.Diagnostic{
		Severity: diag.Error, Code: codeOf(detail), Detail: detail,
		Summary: fmt.Sprintf("%s %s failed on the other host", verbs[c.Action], c.Path),
	}
}

var verbs = map[transfer.Action]string{
	transfer.Write: "write", transfer.Mkdir: "make directory", transfer.Symlink: "make link",
	transfer.Remove: "remove", transfer.Rename: "rename", transfer.Sync: "sync",
}

// call writes the shell command of a change.
func call(c transfer.FileChange) string {
	path := quote(filepath.Clean(c.Path))
	switch c.Action {
	case transfer.Write:
		return fmt.Sprintf("write_file %s %04o %d %s",
			path, orDefault(c.Mode, defaultFileMode), len(c.Content), quote(escape(c.Content)))
	case transfer.Mkdir:
		return makeDirs(filepath.Clean(c.Path), orDefault(c.Mode, defaultDirMode))
	case transfer.Symlink:
		return fmt.Sprintf("make_link %s %s", path, quote(c.Target))
	case transfer.Remove:
		return "remove " + path
	case transfer.Sync:
		return "sync_tree " + path
	default:
		return fmt.Sprintf("move %s %s", path, quote(filepath.Clean(c.Target)))
	}
}

// makeDirs makes each missing directory on the way, outermost first.
func makeDirs(path string, mode fs.FileMode) string {
	dirs := []string{quote(path)}
	for dir := filepath.Dir(path); dir != "/"; dir = filepath.Dir(dir) {
		dirs = append(dirs, quote(dir))
	}
	slices.Reverse(dirs)
	return fmt.Sprintf("make_dirs %04o %s", mode, strings.Join(dirs, " "))
}

func (h Host) statRemote(ctx context.Context, paths []string) ([]transfer.PathInfo, error) {
	var calls strings.Builder
	for _, path := range paths {
		fmt.Fprintf(&calls, "look %s || exit 1\n", quote(filepath.Clean(path)))
	}
	out, _, err := h.run(ctx, calls.String())
	if err != nil {
		return nil, err
	}
	answers := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(answers) != len(paths) {
		return nil, fmt.Errorf("%d answers for %d paths of the other host", len(answers), len(paths))
	}
	infos := make([]transfer.PathInfo, len(paths))
	for i, answer := range answers {
		if infos[i], err = parseLook(answer); err != nil {
			return nil, err
		}
		infos[i].Path = paths[i]
	}
	return infos, nil
}

// dfLine is the end of a line of `df -Pk`; names of file systems and mount points may hold blanks.
var dfLine = regexp.MustCompile(` +\d+ +-?\d+ +(-?\d+) +(?:-|\d+%) +/`)

// parseLook reads an answer of look: "file 8192 1767780000 0 1|/dev/sda1 100 40 60 40% /".
func parseLook(answer string) (transfer.PathInfo, error) {
	var p transfer.PathInfo
	head, df, _ := strings.Cut(answer, "|")
	var mtime int64
	var entries, writable int
	if _, err := fmt.Sscanf(head, "%s %d %d %d %d", &p.Type, &p.Size, &mtime, &entries, &writable); err != nil {
		return p, fmt.Errorf("answer of the other host is not understood: %q", answer)
	}
	if p.Exists = p.Type != "missing"; p.Exists {
		p.Modified = time.Unix(mtime, 0)
	} else {
		p.Type = ""
	}
	p.HasEntries, p.Writable = entries == 1, writable == 1
	m := dfLine.FindStringSubmatch(df)
	if m == nil {
		return p, fmt.Errorf("free space on the other host is not understood: %q", df)
	}
	kilobytes, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return p, fmt.Errorf("free space on the other host: %w", err)
	}
	p.FreeBytes = max(0, kilobytes) * 1024
	return p, nil
}
