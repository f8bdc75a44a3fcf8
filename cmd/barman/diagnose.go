package main

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/config"
	"github.com/barman-go/barman/core/redact"
	"github.com/barman-go/barman/core/report"
)

func newDiagnoseCommand(a *app) *cobra.Command {
	var sources bool
	cmd := &cobra.Command{
		Use:   "diagnose [options]",
		Short: "Print everything that somebody needs who is to help you",
		Long: `Print one JSON document about this host, the configuration, and every server: its options, what PostgreSQL says about itself,
its host, its backups, and its newest WAL. Servers are asked at the same time; one that does not answer is no reason to say
nothing. Passwords in connection strings are masked.`,
		Example: "  barman diagnose > diagnosis.json\n  barman diagnose --show-config-source",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			document, err := a.diagnose(cmd.Context(), sources)
			if err != nil {
				return err
			}
			var text bytes.Buffer
			if err := report.EncodeJSON(&text, masked(document), 4); err != nil {
				return err
			}
			if a.out.JSON() {
				a.out.Print("%s", text.String())
				return nil
			}
			a.out.Result(rawText(text.String()))
			return nil
		},
	}
	cmd.Flags().BoolVar(&sources, "show-config-source", false, "say of each option which file it comes from")
	return cmd
}

// rawText is a result whose text is printed as it is.
type rawText string

func (t rawText) Console(p *report.Printer) { p.Raw(string(t)) }

func (rawText) JSON() map[string]any { return nil }

// masked is a document without the secrets of connection strings. Here, and not in the text of the document, of which masking
// would take quotes along.
func masked(v any) any {
	switch x := v.(type) {
	case string:
		return redact.Text(x)
	case []any:
		out := make([]any, len(x))
		for i := range x {
			out[i] = masked(x[i])
		}
		return out
	case []string:
		out := make([]string, len(x))
		for i := range x {
			out[i] = redact.Text(x[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(x))
		for k := range x {
			out[k] = masked(x[k])
		}
		return out
	}
	return v
}

func (a *app) diagnose(ctx context.Context, sources bool) (map[string]any, error) {
	a.plugins() // shared by all servers
	global := options(a.cfg.Global.Values(), sources)
	global["errors_list"] = append([]string{}, a.cfg.Errors...)
	host := hostInfo(ctx, nil)
	host["barman_ver"], host["barman_build"], host["timestamp"] = compatible, version, isoTime(now())
	models := map[string]any{}
	for _, m := range a.cfg.Models {
		models[m.Name] = map[string]any{"config": options(m.Values(), sources)}
	}
	servers := map[string]any{}
	var mu sync.Mutex
	var asking errgroup.Group
	asking.SetLimit(askedTogether)
	for _, c := range a.cfg.Servers {
		asking.Go(func() error {
			found := a.server(c).diagnose(ctx, sources)
			mu.Lock()
			defer mu.Unlock()
			servers[c.Name] = found
			return nil
		})
	}
	_ = asking.Wait() // what cannot be found out is in the log
	return map[string]any{
		"global": map[string]any{"config": global, "system_info": host}, "models": models, "servers": servers,
	}, context.Cause(ctx)
}

// options are values by name, each with the file that it comes from if that is wanted.
func options(list []config.Value, sources bool) map[string]any {
	found := map[string]any{}
	for _, v := range list {
		found[v.Option.Name] = diagnosed(v)
		if sources {
			found[v.Option.Name] = map[string]any{"value": diagnosed(v), "source": v.Source.File()}
		}
	}
	return found
}

// diagnosed is a value as diagnose shows it: sets separated by commas, periods in words, all else as in other documents.
func diagnosed(v config.Value) any {
	switch x := v.Go.(type) {
	case config.Set:
		return x.String()
	case time.Duration:
		return report.Duration(x)
	}
	return v.JSON()
}

// diagnose is what there is to say about a server. What cannot be found out is left out, and the log says why.
func (s *server) diagnose(ctx context.Context, sources bool) map[string]any {
	own := options(s.Values(), sources)
	own["name"] = any(s.Name)
	if sources {
		own["name"] = map[string]any{"value": s.Name, "source": "default"}
	}
	doc := map[string]any{"config": own, "msg_list": append([]string{}, s.Messages...), "active_model": nil, "status": map[string]any{}}
	if s.ActiveModel != "" {
		doc["active_model"] = s.ActiveModel
	}
	var host map[string]any
	var asking sync.WaitGroup
	if remote, err := s.sshCommand(); err == nil && len(remote) > 0 && !s.Passive() {
		asking.Go(func() { host = s.remoteHostInfo(ctx, remote) })
	}
	if !s.Passive() && !s.Disabled {
		live := values{}
		s.showLive(ctx, live)
		status := map[string]any{}
		for key, v := range live {
			status[key] = v.json
		}
		doc["status"] = status
	}
	asking.Wait()
	if host != nil {
		doc["system_info"] = host
	}
	s.diagnoseCatalog(ctx, doc)
	return doc
}

// diagnoseCatalog adds the backups and the newest WAL.
func (s *server) diagnoseCatalog(ctx context.Context, doc map[string]any) {
	backups := map[string]any{}
	doc["backups"] = backups
	list, err := s.catalog.List()
	if err != nil {
		s.log.Warn("cannot list backups", "server", s.Name, "error", err)
		list = catalog.NewBackups(s.Name)
	}
	for _, u := range list.Unreadable {
		backups[u.ID] = map[string]any{"backup_id": u.ID, "error": u.Err.Error()}
	}
	for _, b := range list.All {
		backups[b.ID] = backupDocument(b, isoTime)
	}
	newest, err := s.newestWAL(ctx)
	if err != nil {
		s.log.Warn("cannot look for the newest WAL", "server", s.Name, "error", err)
	}
	doc["wals"] = map[string]any{"last_archived_wal_per_timeline": newest}
}

// newestWAL are the records of the highest segments, by timeline.
func (s *server) newestWAL(ctx context.Context) (map[string]any, error) {
	found := map[string]any{}
	if some, err := s.hasArchive(); err != nil || !some {
		return found, err
	}
	newest, err := s.catalog.NewestSegments()
	if err != nil {
		return found, err
	}
	var names []string
	for _, segment := range newest {
		names = append(names, segment.String())
	}
	records, err := s.index().Find(ctx, names...)
	for tli, segment := range newest {
		r, ok := records[segment.String()]
		if !ok {
			continue
		}
		found[tli.String()] = map[string]any{
			"name": r.Name, "size": r.Size, "time": r.ModTime, "compression": orNil(r.Compression), "encryption": orNil(r.Encryption),
		}
	}
	return found, err
}

// orNil is a text, or nil for an empty one.
func orNil(text string) any {
	if text == "" {
		return nil
	}
	return text
}
