package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/barman-go/barman/sdk/compress"
	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/hook"
	"github.com/barman-go/barman/sdk/plugin"
	"github.com/barman-go/barman/sdk/schema"
	"github.com/barman-go/barman/sdk/transfer"
)

// Compressor opens an instance of a compression plugin, starting the plugin if it does not run yet.
//
// Errors of this and the next two: *NotFoundError, *StartError, *CrashError, *ConfigError, or what Use.Decode returned.
func (h *Host) Compressor(ctx context.Context, name string, use Use) (*compress.Client, error) {
	conn, err := h.open(ctx, plugin.TypeCompress, name, use)
	if err != nil {
		return nil, err
	}
	return compress.NewClient(conn, ""), nil
}

// Transfer opens an instance of a transfer plugin.
func (h *Host) Transfer(ctx context.Context, name string, use Use) (*transfer.Client, error) {
	conn, err := h.open(ctx, plugin.TypeTransfer, name, use)
	if err != nil {
		return nil, err
	}
	return transfer.NewClient(conn, ""), nil
}

// Hook opens an instance of a hook plugin.
func (h *Host) Hook(ctx context.Context, name string, use Use) (*hook.Client, error) {
	conn, err := h.open(ctx, plugin.TypeHook, name, use)
	if err != nil {
		return nil, err
	}
	return hook.NewClient(conn, ""), nil
}

// Info starts a plugin and returns what it says about itself.
func (h *Host) Info(ctx context.Context, pluginType, name string, use Use) (plugin.Info, error) {
	_, run, err := h.started(ctx, pluginType, name, use)
	if err != nil {
		return plugin.Info{}, err
	}
	return run.desc.info, nil
}

// Schema starts a plugin and returns its options.
func (h *Host) Schema(ctx context.Context, pluginType, name string, use Use) (schema.Schema, error) {
	_, run, err := h.started(ctx, pluginType, name, use)
	if err != nil {
		return nil, err
	}
	return run.desc.schema, nil
}

// Validate checks the configuration of a plugin without opening an instance. The list holds errors and warnings.
func (h *Host) Validate(ctx context.Context, pluginType, name string, use Use) (diag.List, error) {
	proc, run, err := h.started(ctx, pluginType, name, use)
	if err != nil {
		return nil, err
	}
	_, found, err := validate(ctx, proc, run, use)
	return found, err
}

func (h *Host) started(ctx context.Context, pluginType, name string, use Use) (*process, *running, error) {
	proc, err := h.locate(ctx, pluginType, name, use)
	if err != nil {
		return nil, nil, err
	}
	run, err := proc.ensure(ctx)
	return proc, run, err
}

// validate decodes the configuration, fills in the defaults and lets the plugin check it.
func validate(ctx context.Context, proc *process, run *running, use Use) (schema.Values, diag.List, error) {
	values := schema.Values{}
	if use.Decode != nil {
		var err error
		if values, err = use.Decode(run.desc.schema); err != nil {
			return nil, nil, err
		}
	}
	values, found := run.desc.schema.Complete(values)
	if found.HasErrors() {
		return nil, found, nil
	}
	more, err := plugin.NewClient(&processConn{proc, run}).Validate(ctx, values)
	return values, appendNew(found, more), err
}

// appendNew leaves out what the schema has found on this side already: the SDK checks it again on the other.
func appendNew(found, more diag.List) diag.List {
	for _, d := range more {
		if !slices.Contains(found, d) {
			found = append(found, d)
		}
	}
	return found
}

// open starts a plugin, checks the configuration and opens an instance.
func (h *Host) open(ctx context.Context, pluginType, name string, use Use) (*instanceConn, error) {
	proc, run, err := h.started(ctx, pluginType, name, use)
	if err != nil {
		return nil, err
	}
	values, found, err := validate(ctx, proc, run, use)
	if err != nil {
		return nil, err
	}
	if found.HasErrors() {
		return nil, &ConfigError{Plugin: proc.found.key(), Server: use.Server, Diagnostics: found}
	}
	for _, d := range found {
		proc.log.Warn(d.Error(), "server", use.Server)
	}
	workDir, err := h.workDir(use)
	if err != nil {
		return nil, err
	}
	conn := &instanceConn{proc: proc, open: plugin.OpenRequest{
		Config: values, Server: use.Server, WorkDir: workDir,
		PathPrefix: append(slices.Clone(use.PathPrefix), h.opts.GlobalPathPrefix...),
	}}
	if _, _, err := conn.ready(ctx); err != nil {
		return nil, err
	}
	return conn, nil
}

func (h *Host) workDir(use Use) (string, error) {
	if use.WorkDir != "" {
		return use.WorkDir, nil
	}
	run, err := h.runDirectory()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(run.path, "work-")
	if err != nil {
		return "", fmt.Errorf("work directory of a plugin: %w", err)
	}
	return dir, nil
}

// isCrash tells whether the end of a process is in the error's chain.
func isCrash(err error) bool {
	var crash *CrashError
	return errors.As(err, &crash)
}
