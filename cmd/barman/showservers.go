package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/report"
)

func newShowServersCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show-servers SERVER…",
		Aliases: []string{"show-server"},
		Short:   "Show the options of a server and what PostgreSQL says about itself",
		Example: "  barman show-servers main | grep streaming_archiver_name",
		Args:    usage(cobra.MinimumNArgs(1)),
		RunE:    showEach(a, func(ctx context.Context, s *server) (*serverDetails, error) { return s.show(ctx) }),
	}
	completeServers(a, cmd)
	return cmd
}

// shown is a value in the two forms that it is printed in.
type shown struct {
	text string
	json any
}

// show makes the two forms of a value, as Python has them.
func show(v any) shown {
	switch x := v.(type) {
	case nil:
		return shown{"None", nil}
	case bool:
		return shown{pythonBool(x), x}
	case string:
		return shown{x, x}
	case float64:
		return shown{pythonFloat(x), x}
	case time.Time:
		if x.IsZero() {
			return shown{"None", nil}
		}
		return shown{report.Timestamp(x), report.CTime(x.Local())}
	case []string:
		if len(x) == 0 {
			return shown{"[]", []string{}}
		}
		return shown{"['" + strings.Join(x, "', '") + "']", x}
	}
	return shown{fmt.Sprint(v), v}
}

// pythonFloat is a float as Python prints it.
func pythonFloat(f float64) string {
	if f != 0 && f < 1e-4 && f > -1e-4 {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	text := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

// values are the lines of show-servers by key.
type values map[string]shown

func (v values) set(key string, value any) { v[key] = show(value) }

// none sets keys whose values are not known.
func (v values) none(keys ...string) {
	for _, key := range keys {
		v.set(key, nil)
	}
}

// text sets a text, or None for an empty one.
func (v values) text(key, text string) {
	if text == "" {
		v.set(key, nil)
		return
	}
	v.set(key, text)
}

// serverDetails is the output of show-servers for one server.
type serverDetails struct {
	server, state string
	values        values
}

func (d *serverDetails) Console(p *report.Printer) {
	p.Line("Server %s%s:", d.server, d.state)
	for _, key := range slices.Sorted(maps.Keys(d.values)) {
		p.Line("\t%s: %s", key, d.values[key].text)
	}
}

func (d *serverDetails) JSON() map[string]any {
	doc := map[string]any{"description": nil}
	if label := strings.TrimSpace(d.state); label != "" {
		doc["description"] = label
	}
	for key, v := range d.values {
		if _, found := doc[key]; !found || v.json != nil {
			doc[key] = v.json
		}
	}
	return map[string]any{d.server: doc}
}

func (s *server) show(ctx context.Context) (*serverDetails, error) {
	d := &serverDetails{server: s.Name, state: state(s.Active, s.Disabled), values: values{}}
	for _, v := range s.Values() {
		d.values[v.Option.Name] = shown{v.Text(), v.JSON()}
	}
	d.values.set("name", s.Name)
	d.values.set("active", s.Active)
	d.values.set("disabled", s.Disabled)
	d.values.set("passive_node", s.Passive())
	d.values.text("active_model", s.ActiveModel)
	if !s.Passive() {
		s.showLive(ctx, d.values)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	return d, s.showAge(d.values)
}

// showAge rewrites last_backup_maximum_age as a sentence.
func (s *server) showAge(v values) error {
	const key = "last_backup_maximum_age"
	if s.LastBackupMaximumAge == nil {
		v.set(key, "None")
		return nil
	}
	list, err := s.catalog.List()
	if err != nil {
		return err
	}
	limit, now := report.Duration(*s.LastBackupMaximumAge), now()
	last := list.Last(catalog.Usable...)
	switch {
	case last == nil:
		v.set(key, limit+" (WARNING! latest backup is No available backups old)")
	case now.Sub(last.EndTime) > *s.LastBackupMaximumAge:
		v.set(key, fmt.Sprintf("%s (WARNING! latest backup is %s old)", limit, report.Duration(now.Sub(last.EndTime))))
	default:
		v.set(key, fmt.Sprintf("%s (latest backup: %s )", limit, report.Duration(now.Sub(last.EndTime))))
	}
	return nil
}
