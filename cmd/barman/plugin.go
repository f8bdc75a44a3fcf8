package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/pluginhost"
	"github.com/barman-go/barman/core/report"
)

func newPluginCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plugin COMMAND",
		Short: "Show and check plugins",
		Long: `A plugin is an executable barman-TYPE-NAME (type transfer, compress or hook). It is looked for at the path of its plugin
block, in the server's path_prefix, the global path_prefix, the directory of this build's own plugins, and PATH; the first
one that nobody else could have changed is in force.`,
		Example:     "  barman plugin list\n  barman plugin info compress zstd",
		Args:        usage(cobra.NoArgs),
		RunE:        func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		Annotations: map[string]string{withoutConfig: "true"},
	}
	cmd.AddCommand(newPluginListCommand(a), newPluginInfoCommand(a), newPluginVerifyCommand(a), newPluginLockCommand(a))
	return cmd
}

// pluginUse is the point of view of a server, or of none.
func (a *app) pluginUse(server string, pluginType, name string) (pluginhost.Use, error) {
	if server == "" {
		use := pluginhost.Use{}
		if block := a.cfg.Plugin(nil, pluginType, name); block != nil {
			use.Path, use.SHA256, use.Decode = block.Path, block.SHA256, decodeBlock(block, nil)
		}
		return use, nil
	}
	s, err := a.oneServer(server, showAll)
	if err != nil {
		return pluginhost.Use{}, err
	}
	if s == nil {
		return pluginhost.Use{}, errReported
	}
	return s.use(pluginType, name, s.customFilters(name)), nil
}

func newPluginListCommand(a *app) *cobra.Command {
	var server string
	cmd := &cobra.Command{
		Use:     "list [options]",
		Short:   "List all plugins: in force, shadowed and rejected",
		Example: "  barman plugin list\n  barman plugin list --server main",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			use, err := a.pluginUse(server, "", "")
			if err != nil {
				return err
			}
			entries, err := a.plugins().List(cmd.Context(), use)
			if err != nil {
				return err
			}
			a.out.Result(pluginList(entries))
			return nil
		},
	}
	cmd.Flags().StringVar(&server, "server", "", "look from the point of view of `SERVER`, with its path_prefix")
	return cmd
}

// pluginList is the output of plugin list.
type pluginList []pluginhost.Entry

func (l pluginList) Console(p *report.Printer) {
	var b lines
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TYPE\tNAME\tVERSION\tSTATUS\tFOUND IN\tPATH")
	for _, e := range l {
		version := e.Version
		if version == "" {
			version = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", e.Type, e.Name, version, e.Status, e.Origin, e.Path)
	}
	_ = w.Flush()
	b.print(p)
	for _, e := range l {
		if e.Reason != "" {
			p.Line("%s: %s", e.Path, e.Reason)
		}
	}
}

func (l pluginList) JSON() map[string]any {
	items := []any{}
	for _, e := range l {
		items = append(items, map[string]any{
			"type": e.Type, "name": e.Name, "version": textOrNull(e.Version), "path": e.Path, "status": fmt.Sprint(e.Status),
			"origin": fmt.Sprint(e.Origin), "reason": textOrNull(e.Reason), "sha256": textOrNull(e.SHA256), "summary": textOrNull(e.Summary),
		})
	}
	return map[string]any{"plugins": items}
}

// lines collects text that is printed line by line.
type lines struct{ bytes.Buffer }

func (l *lines) print(p *report.Printer) {
	for _, line := range strings.Split(strings.TrimRight(l.String(), "\n"), "\n") {
		p.Line("%s", strings.TrimRight(line, " "))
	}
}

func newPluginInfoCommand(a *app) *cobra.Command {
	var server string
	cmd := &cobra.Command{
		Use:     "info [options] TYPE NAME",
		Short:   "Show what a plugin says about itself, and its options",
		Example: "  barman plugin info compress zstd",
		Args:    usage(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			use, err := a.pluginUse(server, args[0], args[1])
			if err != nil {
				return err
			}
			info, err := a.plugins().Info(cmd.Context(), args[0], args[1], use)
			if err != nil {
				return err
			}
			options, err := a.plugins().Schema(cmd.Context(), args[0], args[1], use)
			if err != nil {
				return err
			}
			a.out.Result(pluginInfo{info, options})
			return nil
		},
	}
	cmd.Flags().StringVar(&server, "server", "", "look from the point of view of `SERVER`")
	return cmd
}

func newPluginVerifyCommand(a *app) *cobra.Command {
	var server string
	cmd := &cobra.Command{
		Use:     "verify [options] TYPE NAME",
		Short:   "Check that a plugin can be found, trusted and started, and accepts its configuration",
		Example: "  barman plugin verify transfer rsync",
		Args:    usage(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			use, err := a.pluginUse(server, args[0], args[1])
			if err != nil {
				return err
			}
			entry, err := a.plugins().Verify(cmd.Context(), args[0], args[1], use)
			if err != nil {
				return err
			}
			a.out.Info("%s %s %s is fine: %s", entry.Type, entry.Name, entry.Version, entry.Path)
			a.out.Info("sha256 %s", entry.SHA256)
			return nil
		},
	}
	cmd.Flags().StringVar(&server, "server", "", "look from the point of view of `SERVER`, and check its options")
	return cmd
}

func newPluginLockCommand(a *app) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "lock [options]",
		Short:   "Print the digests of all plugins in force, to pin them",
		Example: "  barman plugin lock --output /etc/barman-plugins.lock",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			entries, err := a.plugins().List(cmd.Context(), pluginhost.Use{})
			if err != nil {
				return err
			}
			l := &pluginhost.Lock{Digests: map[string]string{}}
			for _, e := range entries {
				if e.Status == pluginhost.InForce {
					l.Digests[e.Type+"/"+e.Name] = e.SHA256
				}
			}
			if output == "" {
				return a.document(l.Encode(), map[string]any{"plugins": l.Digests})
			}
			return fsx.WriteFile(output, l.Encode(), os.FileMode(0o644))
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "write to `FILE` instead of standard output")
	return cmd
}
