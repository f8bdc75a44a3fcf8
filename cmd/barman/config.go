package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/barman-go/barman/core/config"
	"github.com/barman-go/barman/core/config/ini"
	"github.com/barman-go/barman/core/pluginhost"
	"github.com/barman-go/barman/core/report"
)

func configurationCommands(a *app) []*cobra.Command {
	commands := []*cobra.Command{
		newConfigCommand(a), newConfigSwitchCommand(a), newConfigUpdateCommand(a), newPluginCommand(a),
	}
	if man := newManCommand(a); man != nil {
		commands = append(commands, man)
	}
	return commands
}

func newConfigCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "config COMMAND",
		Short:   "Check, show and import the configuration",
		Example: "  barman config validate\n  barman config show main",
		Args:    usage(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		Annotations: map[string]string{withoutConfig: "true"},
	}
	cmd.AddCommand(newConfigValidateCommand(a), newConfigShowCommand(a), newConfigImportCommand(a))
	return cmd
}

func newConfigValidateCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "validate",
		Short: "Show every mistake in the configuration, with file and line",
		Long: `Read the configuration, start every plugin that it mentions to check the plugin's options, and show every mistake
with file, line and a suggestion. Exit code 1 when there is an error; warnings do not count.`,
		Example:     "  barman config validate\n  barman -c ./barman.hcl config validate",
		Args:        usage(cobra.NoArgs),
		Annotations: map[string]string{withoutConfig: "true"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, found := config.Load(config.LoadOptions{Path: a.flags.config})
			if !found.Fatal() {
				a.cfg = cfg
				found = append(found, a.validatePlugins(cmd)...)
			}
			if err := a.tell(found); err != nil {
				return err
			}
			if found.HasErrors() {
				return errReported
			}
			a.out.Info("%s is valid: %s, %s, %s", cfg.Path,
				count(len(cfg.Servers), "server"), count(len(cfg.Models), "model"), count(len(found), "warning"))
			return nil
		},
	}
}

// tell shows diagnostics: on standard error with the lines that they are about, or among the messages of the JSON document.
func (a *app) tell(found config.Diagnostics) error {
	if !a.out.JSON() {
		return found.Render(a.stderr, a.colored())
	}
	for _, d := range found.Visible() {
		text := d.Error()
		if d.Detail != "" {
			text += ": " + d.Detail
		}
		if d.Severity == config.Warning {
			a.out.Warning("%s", text)
		} else {
			a.out.Error("%s", text)
		}
	}
	return nil
}

// count is a number of things in words.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// validatePlugins checks the options of all plugins that the configuration mentions, and that the others exist.
func (a *app) validatePlugins(cmd *cobra.Command) config.Diagnostics {
	var found config.Diagnostics
	for _, c := range a.cfg.Servers {
		s := a.server(c)
		for _, block := range a.cfg.PluginsOf(c) {
			found = append(found, s.validateBlock(cmd.Context(), block, s.use(block.Type, block.Name, nil))...)
		}
		for _, b := range s.Hooks {
			found = append(found, s.validateBlock(cmd.Context(), b.Config, s.hookUse(b))...)
		}
		for _, wanted := range [][2]string{{"transfer", c.BackupMethod}, {"compress", c.Compression}} {
			if wanted[1] == "" || wanted[1] == "none" {
				continue
			}
			var missing *pluginhost.NotFoundError
			if _, err := a.plugins().Info(cmd.Context(), wanted[0], wanted[1], s.use(wanted[0], wanted[1], nil)); errors.As(err, &missing) {
				found = append(found, config.Diagnostic{
					Severity: config.Error, Summary: fmt.Sprintf("server %q needs the plugin %s %s", c.Name, wanted[0], wanted[1]),
					Detail: err.Error(), Range: c.Range(), Server: c.Name,
				})
			}
		}
	}
	return found
}

// validateBlock checks the options of one plugin, which has to be there for that.
func (s *server) validateBlock(ctx context.Context, block *config.PluginBlock, use pluginhost.Use) config.Diagnostics {
	options, err := s.plugins().Schema(ctx, block.Type, block.Name, use)
	if err != nil {
		return config.Diagnostics{{
			Severity: config.Error, Summary: fmt.Sprintf("plugin %s %s cannot be used", block.Type, block.Name), Detail: err.Error(),
			Range: block.Range, Server: s.Name,
		}}
	}
	_, found := config.DecodePlugin(block, options)
	if found.HasErrors() {
		return found
	}
	if list, err := s.plugins().Validate(ctx, block.Type, block.Name, use); err == nil {
		found = append(found, config.PluginDiagnostics(block, options, list)...)
	}
	return found
}

func newConfigShowCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show [SERVER]",
		Short:   "Show the values in force, and where each comes from",
		Example: "  barman config show\n  barman config show main",
		Args:    usage(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				a.out.Result(configRows{"barman", a.cfg.ShowGlobal()})
				return nil
			}
			s, err := a.oneServer(args[0], showAll)
			if s == nil {
				return err
			}
			a.out.Result(configRows{s.Name, s.Show()})
			return nil
		},
	}
	completeServers(a, cmd)
	return cmd
}

// configRows is the output of config show.
type configRows struct {
	name string
	rows []config.Row
}

func (c configRows) Console(p *report.Printer) {
	var b lines
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, r := range c.rows {
		fmt.Fprintf(w, "%s\t= %s\t# %s\n", r.Option, r.Value, r.Source)
	}
	_ = w.Flush()
	b.print(p)
}

func (c configRows) JSON() map[string]any {
	doc := map[string]any{}
	for _, r := range c.rows {
		doc[r.Option] = map[string]any{"value": r.Value, "source": r.Source}
	}
	return map[string]any{c.name: doc}
}

func newConfigImportCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "import OLD.conf",
		Short: "Translate a barman.conf of Python Barman to HCL, on standard output",
		Long: `Read a barman.conf with its drop-in directory and .barman.auto.conf, and write the same configuration as HCL with
comments. What cannot be translated is reported on standard error, or, with --format json, in the document beside the text.`,
		Example:     "  barman config import /etc/barman.conf > /etc/barman.hcl",
		Args:        usage(cobra.ExactArgs(1)),
		Annotations: map[string]string{withoutConfig: "true"},
		RunE: func(_ *cobra.Command, args []string) error {
			hcl, found := ini.Import(args[0])
			if err := a.tell(found); err != nil {
				return err
			}
			if found.Fatal() {
				return errReported
			}
			return a.document(hcl, map[string]any{"hcl": string(hcl)})
		},
	}
}

// document writes a text that is the whole purpose of a command, byte by byte, or the same as members of the JSON document.
func (a *app) document(text []byte, members map[string]any) error {
	if a.out.JSON() {
		a.out.Result(jsonOnly(members))
		return nil
	}
	_, err := a.stdout.Write(text)
	return err
}

// jsonOnly is a result that the console has got in another way.
type jsonOnly map[string]any

func (jsonOnly) Console(*report.Printer) {}

func (j jsonOnly) JSON() map[string]any { return j }
