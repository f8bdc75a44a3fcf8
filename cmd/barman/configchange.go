package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/barman-go/barman/core/config"
	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/lock"
)

func newConfigSwitchCommand(a *app) *cobra.Command {
	var reset bool
	cmd := &cobra.Command{
		Use:   "config-switch [options] SERVER [MODEL]",
		Short: "Lay a model over the options of a server, or take it away",
		Long: `Lay the values of a model block over the options of a server, from now on: when the standby has become the primary, say. The
model must have the server's cluster. --reset takes the model away. receive-wal is started anew.`,
		Example: "  barman config-switch main main:standby\n  barman config-switch --reset main",
		Args:    usage(cobra.RangeArgs(1, 2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 2) == reset {
				a.out.Error("Either a model name or '--reset' flag need to be given")
				return errReported
			}
			s, err := a.oneServer(args[0], showAll)
			if s == nil {
				return err
			}
			if reset {
				return s.resetModel(cmd.Context())
			}
			return s.switchModel(cmd.Context(), args[1])
		},
	}
	cmd.Flags().BoolVar(&reset, "reset", false, "use the server's own options again")
	completeServers(a, cmd)
	return cmd
}

// switchModel makes a model the server's active one.
func (s *server) switchModel(ctx context.Context, name string) error {
	model, ok := s.cfg.Model(name)
	switch {
	case !ok:
		return fmt.Errorf("Unknown model '%s'", name)
	case model.Cluster != s.Cluster:
		return fmt.Errorf("Model '%s' has 'cluster=%s', which is not compatible with 'cluster=%s' from server '%s'",
			name, model.Cluster, s.Cluster, s.Name)
	case s.ActiveModel == name:
		s.out.Info("Model '%s' is already active for server '%s', skipping...", name, s.Name)
		return nil
	}
	s.out.Info("Applying model '%s' to server '%s'", name, s.Name)
	// A server that nothing was done with so far has no directory.
	if err := fsx.MkdirAll(filepath.Dir(s.ActiveModelFile()), 0o755); err != nil {
		return fmt.Errorf("failed to create the directory of server '%s': %w", s.Name, err)
	}
	// Barman writes no line break, and reads what is here as the name.
	if err := fsx.WriteFile(s.ActiveModelFile(), []byte(name), 0o644); err != nil {
		return fmt.Errorf("cannot note the active model of server '%s': %w", s.Name, err)
	}
	return s.afterSwitch(ctx, fmt.Sprintf("through the model '%s'", name))
}

// resetModel gives the server its own options back.
func (s *server) resetModel(ctx context.Context) error {
	s.out.Info("Resetting the active model for the server %s", s.Name)
	err := fsx.Remove(s.ActiveModelFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot forget the active model of server '%s': %w", s.Name, err)
	}
	return s.afterSwitch(ctx, "by the reset")
}

// afterSwitch says what has changed, and lets receive-wal begin anew with it.
func (s *server) afterSwitch(ctx context.Context, how string) error {
	changed, found := config.Load(config.LoadOptions{Path: s.flags.config})
	if found.Fatal() {
		return fatal{renderDiagnostics(found, false)}
	}
	c, ok := changed.Server(s.Name)
	if !ok {
		return nil
	}
	for _, after := range c.Values() {
		before, _ := s.Value(after.Option.Name)
		if before.Text() != after.Text() {
			s.out.Info("Changing value of option '%s' for server '%s' from '%s' to '%s' %s",
				after.Option.Name, s.Name, before.Text(), after.Text(), how)
		}
	}
	for _, text := range c.Messages {
		s.out.Warning("%s", text)
	}
	next := *s.app
	next.cfg = changed
	return next.server(c).restartReceiver(ctx)
}

// restartReceiver stops the process that receives WAL, if there is one, and starts it if it should run.
func (s *server) restartReceiver(ctx context.Context) error {
	if _, held, err := s.holder(lock.ReceiveWAL); err != nil {
		return err
	} else if held {
		if err := s.terminate(ctx, lock.ReceiveWAL.String()); err != nil {
			return err
		}
	}
	if !s.StreamingArchiver || s.Disabled || !s.Active || s.Passive() {
		return nil // cron does what remains for a passive server
	}
	s.out.Info("Starting streaming archiver for server %s", s.Name)
	return s.leaveBehind(nil, nil, "receive-wal", s.Name)
}

func newConfigUpdateCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config-update JSON",
		Short: "Change options of servers and models",
		Long: `Change options of servers and models, all that are given or none. JSON is a list of objects:

  {"scope": "server", "server_name": NAME, OPTION: "VALUE", …}
  {"scope": "model", "model_name": NAME, OPTION: "VALUE", …}

What is changed is written to .barman.auto.hcl in barman_home, which is read after all other files: your own files stay as they
are. A server or model that does not exist is added; a new model needs its "cluster". receive-wal of the servers changed is started
anew.`,
		Example: `  barman config-update '[{"scope": "server", "server_name": "main", "minimum_redundancy": "2"}]'`,
		Args:    usage(cobra.ExactArgs(1)),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.updateConfig(cmd.Context(), args[0]) },
	}
	return cmd
}

// updateConfig makes changes and says which.
func (a *app) updateConfig(ctx context.Context, text string) error {
	changes, err := a.parseChanges(text)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(a.cfg.Global.LockDirectory, 0o755); err != nil { // may be missing in a fresh /run
		return err
	}
	l, err := lock.Acquire(ctx, a.cfg.Global.LockDirectory, lock.ForConfigUpdate(), false)
	if errors.Is(err, lock.ErrBusy) {
		return fmt.Errorf("Another config-update process is already running (%s)", lock.By(err))
	}
	if err != nil {
		return err
	}
	defer l.Release() //nolint:errcheck // the lock ends with the process at the latest
	auto, changed, err := config.Update(config.LoadOptions{Path: a.flags.config}, a.cfg.Global, changes)
	if err != nil {
		return err
	}
	for _, c := range changes {
		for _, option := range slices.Sorted(maps.Keys(c.Options)) {
			a.out.Info("Changing value of option '%s' for section '%s' from '%s' to '%s' through config-update.",
				option, c.Name, a.optionText(c, option), c.Options[option])
		}
	}
	if err := fsx.MkdirAll(filepath.Dir(a.cfg.Global.AutoPath()), 0o755); err != nil { // nothing was done with any server so far
		return fmt.Errorf("failed to create barman_home: %w", err)
	}
	if err := fsx.WriteFile(a.cfg.Global.AutoPath(), auto, 0o644); err != nil {
		return fmt.Errorf("cannot write the changed options: %w", err)
	}
	return a.restartReceivers(ctx, changed, changes)
}

// restartReceivers lets receive-wal begin anew for the servers whose effective options have changed.
func (a *app) restartReceivers(ctx context.Context, changed *config.Config, changes []config.Change) error {
	next := *a
	next.cfg = changed
	var errs []error
	for _, c := range changed.Servers {
		touched := slices.ContainsFunc(changes, func(change config.Change) bool {
			return change.Model && change.Name == c.ActiveModel || !change.Model && change.Name == c.Name
		})
		if touched {
			errs = append(errs, next.server(c).restartReceiver(ctx))
		}
	}
	return errors.Join(errs...)
}

// optionText is the value of an option before it is changed.
func (a *app) optionText(c config.Change, option string) string {
	var values []config.Value
	if s, ok := a.cfg.Server(c.Name); ok && !c.Model {
		values = s.Values()
	}
	if m, ok := a.cfg.Model(c.Name); ok && c.Model {
		values = m.Values()
	}
	for _, v := range values {
		if v.Option.Name == option {
			return v.Text()
		}
	}
	return "None"
}

// parseChanges reads the argument of config-update.
func (a *app) parseChanges(text string) ([]config.Change, error) {
	var list []map[string]any
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, fmt.Errorf("config-update wants a JSON list of objects: %w", err)
	}
	var changes []config.Change
	for _, item := range list {
		c, problem := a.parseChange(item)
		if problem != "" {
			shown, _ := json.Marshal(item)
			a.out.Error("Invalid section %s: %s", shown, problem)
			return nil, fmt.Errorf("Aborting config-update: invalid section %s", shown)
		}
		changes = append(changes, c)
	}
	return changes, nil
}

// parseChange reads one object; problem says what is wrong with it.
func (a *app) parseChange(item map[string]any) (c config.Change, problem string) {
	c.Options = map[string]string{}
	for key, value := range item {
		text, ok := value.(string)
		if !ok {
			return c, fmt.Sprintf("the value of '%s' is not a text; write it in double quotes", key)
		}
		c.Options[key] = text
	}
	scope := c.Options["scope"]
	if scope != "server" && scope != "model" {
		return c, fmt.Sprintf("'scope' is invalid: '%s'. It should be either 'server' or 'model'.", scope)
	}
	nameKey := scope + "_name"
	c.Model, c.Name = scope == "model", c.Options[nameKey]
	delete(c.Options, "scope")
	delete(c.Options, nameKey)
	_, isServer := a.cfg.Server(c.Name)
	_, isModel := a.cfg.Model(c.Name)
	switch {
	case c.Name == "":
		return c, fmt.Sprintf("'%s' is missing.", nameKey)
	case isModel && !c.Model:
		return c, fmt.Sprintf("'%s' is a model, not a server.", c.Name)
	case isServer && c.Model:
		return c, fmt.Sprintf("'%s' is a server, not a model.", c.Name)
	case c.Model && !isModel && c.Options["cluster"] == "":
		return c, "new model but 'cluster' is missing."
	}
	return c, ""
}
