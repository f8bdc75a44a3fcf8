package hostfiles

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/transfer"
)

// DefaultMaxBytes is the limit of ReadFile when none is given.
const DefaultMaxBytes = 1 << 20

// Default modes of what ApplyFiles makes.
const (
	defaultFileMode = 0o600
	defaultDirMode  = 0o700
)

// Host is where the files are.
type Host struct {
	// Remote is the program and arguments that reach it; empty for this host.
	Remote []string
	// PathPrefix are directories in which the remote command's program is looked for first.
	PathPrefix []string
}

// ReadFile returns a regular file. The error is fs.ErrNotExist when there is none, and a diagnostic when it is larger than
// maxBytes (0 means DefaultMaxBytes).
func (h Host) ReadFile(ctx context.Context, path string, maxBytes int64) (transfer.FileContent, error) {
	if err := checkPath(path); err != nil {
		return transfer.FileContent{}, err
	}
	if maxBytes <= 0 {
		maxBytes = DefaultMaxBytes
	}
	if len(h.Remote) == 0 {
		return readLocal(path, maxBytes)
	}
	return h.readRemote(ctx, path, maxBytes)
}

// ApplyFiles makes changes in order, each durable before the next, and stops at the first that fails. It returns how many
// were made.
func (h Host) ApplyFiles(ctx context.Context, changes []transfer.FileChange) (int, error) {
	for _, c := range changes {
		if err := checkChange(c); err != nil {
			return 0, err
		}
	}
	if len(changes) == 0 {
		return 0, ctx.Err()
	}
	if len(h.Remote) == 0 {
		return applyLocal(ctx, changes)
	}
	return h.applyRemote(ctx, changes)
}

// Stat looks at paths without following a link at their end; the result has their order.
func (h Host) Stat(ctx context.Context, paths []string) ([]transfer.PathInfo, error) {
	for _, path := range paths {
		if err := checkPath(path); err != nil {
			return nil, err
		}
	}
	if len(paths) == 0 {
		return nil, ctx.Err()
	}
	if len(h.Remote) == 0 {
		return statLocal(ctx, paths)
	}
	return h.statRemote(ctx, paths)
}

func checkPath(path string) error {
	if !filepath.IsAbs(path) || strings.ContainsRune(path, 0) {
		return invalid("%q is not an absolute path", path)
	}
	return nil
}

func checkChange(c transfer.FileChange) error {
	if err := checkPath(c.Path); err != nil {
		return err
	}
	if filepath.Clean(c.Path) == "/" && c.Action != transfer.Mkdir {
		return invalid("the root directory cannot be changed")
	}
	switch c.Action {
	case transfer.Write:
		if len(c.Content) > DefaultMaxBytes {
			return invalid("%s: %d bytes are too many for a small file, at most %d are possible", c.Path, len(c.Content), DefaultMaxBytes)
		}
	case transfer.Mkdir, transfer.Remove, transfer.Sync:
	case transfer.Symlink:
		if c.Target == "" || strings.ContainsRune(c.Target, 0) {
			return invalid("%s: a link needs a target", c.Path)
		}
	case transfer.Rename:
		if err := checkPath(c.Target); err != nil {
			return err
		}
	default:
		return invalid("%s: action %d is unknown", c.Path, c.Action)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return diag.Diagnostic{Severity: diag.Error, Summary: fmt.Sprintf(format, args...), Code: diag.CodeInvalidOption}
}

func tooLarge(path string, maxBytes int64) error {
	return diag.Diagnostic{
		Severity: diag.Error, Summary: fmt.Sprintf("%s is larger than %d bytes", path, maxBytes), Code: diag.CodeInvalidOption,
	}
}

func notRegular(path string) error {
	return diag.Diagnostic{
		Severity: diag.Error, Summary: path + " is not a regular file", Code: diag.CodeInvalidOption,
	}
}
