package filecopy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/barman-go/barman/plugins/transfer/internal/hostfiles"
	"github.com/barman-go/barman/plugins/transfer/internal/sshshare"
	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/plugin"
	"github.com/barman-go/barman/sdk/progress"
	"github.com/barman-go/barman/sdk/transfer"
)

// Copier is a transfer.FileCopier that runs rsync. Its methods may be called at the same time.
type Copier struct {
	env    plugin.Env
	remote bool
	// logins are the connections that small commands share.
	logins *sshshare.Pool
}

var (
	_ transfer.FileCopier = (*Copier)(nil)
	_ io.Closer           = (*Copier)(nil)
)

// NewSSH returns the copier of the plugin "rsync": the source of a backup is on another host.
func NewSSH(env plugin.Env) *Copier { return newCopier(env, true) }

// NewLocal returns the copier of the plugin "local-rsync": PostgreSQL runs on this host.
func NewLocal(env plugin.Env) *Copier { return newCopier(env, false) }

func newCopier(env plugin.Env, remote bool) *Copier {
	if env.Log == nil {
		env.Log = hclog.NewNullLogger()
	}
	return &Copier{env: env, remote: remote, logins: sshshare.New(env.WorkDir, env.PathPrefix, env.Log)}
}

// Close implements io.Closer: it ends the connections to other hosts.
func (c *Copier) Close() error { return c.logins.Close() }

// Describe implements transfer.Transfer.
func (c *Copier) Describe() transfer.Description {
	return transfer.Description{
		Mode:                             transfer.FileCopy,
		NeedsSSHCommand:                  c.remote,
		SupportsReuse:                    true,
		SupportsBandwidthLimit:           true,
		SupportsTablespaceBandwidthLimit: true,
		SupportsNetworkCompression:       c.remote,
		SupportsParallelJobs:             true,
	}
}

// ReadFile implements transfer.FileCopier.
func (c *Copier) ReadFile(ctx context.Context, remote []string, path string, maxBytes int64) (transfer.FileContent, error) {
	return c.host(ctx, remote).ReadFile(ctx, path, maxBytes)
}

// ApplyFiles implements transfer.FileCopier.
func (c *Copier) ApplyFiles(ctx context.Context, remote []string, changes []transfer.FileChange) (int, error) {
	return c.host(ctx, remote).ApplyFiles(ctx, changes)
}

// Stat implements transfer.FileCopier.
func (c *Copier) Stat(ctx context.Context, remote []string, paths []string) ([]transfer.PathInfo, error) {
	return c.host(ctx, remote).Stat(ctx, paths)
}

// host is this one without a remote command.
func (c *Copier) host(ctx context.Context, remote []string) hostfiles.Host {
	return hostfiles.Host{Remote: c.logins.Command(ctx, remote), PathPrefix: c.env.PathPrefix}
}

// Copy implements transfer.FileCopier.
func (c *Copier) Copy(ctx context.Context, plan transfer.Plan, rep progress.Reporter) (_ transfer.CopyResult, err error) {
	begin := time.Now()
	if err := validate(&plan); err != nil {
		return transfer.CopyResult{}, err
	}
	dir, err := os.MkdirTemp(c.env.WorkDir, "copy-")
	if err != nil {
		return transfer.CopyResult{}, fmt.Errorf("directory for file lists: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	s := newSession(ctx, c, plan, dir, rep)
	if err := s.prepare(ctx); err != nil {
		return transfer.CopyResult{}, err
	}
	for _, phase := range s.phases() {
		if err := s.copyPhase(ctx, phase); err != nil {
			return transfer.CopyResult{}, err
		}
	}
	return s.result(time.Since(begin)), nil
}

// validate refuses what would make rsync do something else than the plan says.
func validate(plan *transfer.Plan) error {
	invalid := func(format string, args ...any) error {
		return diag.Diagnostic{
			Severity: diag.Error, Summary: "copy plan: " + fmt.Sprintf(format, args...), Code: diag.CodeInvalidOption,
		}
	}
	plan.Workers = max(plan.Workers, 1)
	switch plan.Direction {
	case transfer.Fetch, transfer.Put:
		if len(plan.Remote) == 0 {
			return invalid("a copy to or from another host needs a remote command")
		}
	case transfer.Local:
	default:
		return invalid("direction %d is unknown", plan.Direction)
	}
	for _, item := range plan.Items {
		if item.Kind != transfer.Directory && item.Kind != transfer.File {
			return invalid("item %s: kind %d is unknown", item.Label, item.Kind)
		}
		paths := []string{item.Source, item.Destination}
		if item.ReuseDirectory != "" {
			paths = append(paths, item.ReuseDirectory)
		}
		for _, path := range paths {
			if !filepath.IsAbs(path) || slices.Contains([]byte(path), 0) {
				return invalid("item %s: %q is not an absolute path", item.Label, path)
			}
		}
		for _, pattern := range slices.Concat(item.Include, item.Exclude, item.ExcludeAndProtect) {
			if pattern == "" {
				return invalid("item %s: a pattern is empty", item.Label)
			}
		}
	}
	return nil
}
