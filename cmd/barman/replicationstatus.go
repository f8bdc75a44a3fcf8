package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/barman-go/barman/core/postgres"
	"github.com/barman-go/barman/core/report"
	"github.com/barman-go/barman/core/wal"
)

// replicationTargets are the choices of --target, with what they are called.
var replicationTargets = map[string]string{
	"all": "streaming clients", "hot-standby": "hot standby servers", "wal-streamer": "WAL streamers",
}

func newReplicationStatusCommand(a *app) *cobra.Command {
	var minimal bool
	target, source := "all", "backup-host"
	cmd := &cobra.Command{
		Use:   "replication-status [options] SERVER…",
		Short: "Show the standbys and WAL receivers of a server",
		Example: `  barman replication-status main
  barman replication-status --minimal --target hot-standby main`,
		Args: usage(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if replicationTargets[target] == "" {
				return usageError{fmt.Errorf("invalid choice %q for --target (choose from all, hot-standby, wal-streamer)", target)}
			}
			if !oneOf(source, "backup-host", "wal-host") {
				return usageError{fmt.Errorf("invalid choice %q for --source (choose from backup-host, wal-host)", source)}
			}
			servers, err := a.servers(args, normalDirect)
			if err != nil {
				return err
			}
			for _, s := range servers {
				result, err := s.replicationStatus(cmd.Context(), target, source)
				if err != nil {
					a.log.Error("replication-status", "server", s.Name, "error", err)
					a.out.Error("Unable to connect to server %s: %s", s.Name, err)
					continue
				}
				result.minimal = minimal
				a.out.Result(result)
			}
			return nil
		},
	}
	fl := cmd.Flags()
	fl.BoolVar(&minimal, "minimal", false, "print one line for each client")
	fl.StringVar(&target, "target", target, "`WHICH` clients: all, hot-standby or wal-streamer")
	fl.StringVar(&source, "source", source, "ask `HOST`: the server of conninfo (backup-host) or of wal_conninfo (wal-host)")
	completeServers(a, cmd)
	return cmd
}

func (s *server) replicationStatus(ctx context.Context, target, source string) (*replicationResult, error) {
	text := s.ConnInfo
	if source == "wal-host" {
		text = s.walConnInfo()
	}
	conn, err := s.connect(ctx, text)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	facts, err := conn.Facts(ctx, postgres.FactsOptions{})
	if err != nil {
		return nil, err
	}
	status, err := conn.ReplicationStatus(ctx)
	if err != nil {
		return nil, err
	}
	r := &replicationResult{
		server: s.Name, title: replicationTargets[target], allowed: facts.Privileges.Monitoring,
		standby: status.InRecovery, lsn: status.CurrentLSN,
	}
	for _, client := range status.Clients {
		if target == "all" || client.IsStandby() == (target == "hot-standby") {
			r.clients = append(r.clients, describeClient(client))
		}
	}
	return r, nil
}

// replicationResult is the output of replication-status for one server.
type replicationResult struct {
	server, title string
	minimal       bool
	// allowed tells that the role may see the clients.
	allowed bool
	standby bool
	lsn     wal.LSN
	clients []replicationClient
}

// diff is how many bytes of WAL lie between a place and the server's own.
func (r *replicationResult) diff(lsn wal.LSN) int64 { return int64(r.lsn) - int64(lsn) }

// note is the line that replaces the clients, or empty.
func (r *replicationResult) note() string {
	switch {
	case !r.allowed:
		return "Requires superuser rights"
	case len(r.clients) == 0:
		return fmt.Sprintf("No %s attached", r.title)
	}
	return ""
}

func (r *replicationResult) Console(p *report.Printer) {
	if r.minimal {
		r.consoleMinimal(p)
		return
	}
	p.Line("Status of %s for server '%s':", r.title, r.server)
	if !r.standby {
		p.Line("  Current LSN on master: %s", r.lsn)
	}
	if note := r.note(); note != "" {
		p.Line("  %s", note)
		return
	}
	p.Line("  Number of %s: %d", r.title, len(r.clients))
	for i, c := range r.clients {
		p.Line("")
		p.Line("  %d. %s", i+1, c.name())
		r.consoleClient(p, c)
	}
}

func (r *replicationResult) consoleClient(p *report.Printer, c replicationClient) {
	p.Line("     Application name: %s", c.ApplicationName)
	p.Line("     Sync stage      : %s", c.stage(r.lsn))
	p.Line("     Communication   : %s", c.communication())
	if c.ClientAddress != "" {
		p.Line("     IP Address      : %s / Port: %d / Host: %s", c.ClientAddress, c.ClientPort, c.host())
	}
	p.Line("     User name       : %s", c.User)
	p.Line("     Current state   : %s (%s)", c.State, c.SyncState)
	if c.SlotName != "" {
		p.Line("     Replication slot: %s", c.SlotName)
	}
	p.Line("     WAL sender PID  : %d", c.PID)
	p.Line("     Started at      : %s", report.Timestamp(c.BackendStart))
	if c.BackendXmin != "" {
		p.Line("     Standby's xmin  : %s", c.BackendXmin)
	}
	for _, at := range c.positions() {
		p.Line("     %-10s : %s (diff: %s)", at.label+" LSN", at.lsn, report.Size(r.diff(at.lsn)))
	}
}

func (r *replicationResult) consoleMinimal(p *report.Printer) {
	title := capitalize(r.title)
	if r.standby {
		p.Line("%s for slave '%s':", title, r.server)
	} else {
		p.Line("%s for master '%s' (LSN @ %s):", title, r.server, r.lsn)
	}
	if note := r.note(); note != "" {
		p.Line("  %s", note)
		return
	}
	for i, c := range r.clients {
		address := c.ClientAddress
		if address == "" {
			address = "socket"
		}
		if c.standby {
			p.Line("  %d. %s) %s@%s S:%s F:%s R:%s P:%d AN:%s", i+1, strings.ToUpper(c.SyncState[:min(1, len(c.SyncState))]), c.User, address,
				c.Sent, c.Flush, c.Replay, c.SyncPriority, c.ApplicationName)
		} else {
			p.Line("  %d. W) %s@%s S:%s W:%s P:%d AN:%s", i+1, c.User, address, c.Sent, c.Write, c.SyncPriority, c.ApplicationName)
		}
	}
}

func (r *replicationResult) JSON() map[string]any {
	doc := map[string]any{"server_lsn": nil}
	if !r.standby {
		doc["server_lsn"] = r.lsn.String()
	}
	items := []any{}
	if note := r.note(); note != "" {
		doc["standby_info"] = note
	} else {
		for _, c := range r.clients {
			if r.minimal {
				items = append(items, c.minimalJSON())
			} else {
				items = append(items, r.clientJSON(c))
			}
		}
	}
	doc[strings.ReplaceAll(strings.ToLower(r.title), " ", "_")] = items
	return map[string]any{r.server: doc}
}

func (r *replicationResult) clientJSON(c replicationClient) map[string]any {
	item := map[string]any{
		"name": c.name(), "application_name": c.ApplicationName, "sync_stage": c.stage(r.lsn), "communication": c.communication(),
		"user_name": c.User, "current_state": c.State, "current_sync_state": c.SyncState, "wal_sender_pid": c.PID,
		"started_at": report.CTime(c.BackendStart.Local()),
	}
	if c.ClientAddress != "" {
		item["ip_address"], item["port"], item["host"] = c.ClientAddress, c.ClientPort, c.host()
	}
	if c.SlotName != "" {
		item["replication_slot"] = c.SlotName
	}
	if c.BackendXmin != "" {
		item["standbys_xmin"] = c.BackendXmin
	}
	for _, at := range c.positions() {
		item[at.key+"_lsn"] = at.lsn.String()
		item[at.key+"_lsn_diff"] = report.Size(r.diff(at.lsn))
		item[at.key+"_lsn_diff_bytes"] = r.diff(at.lsn)
	}
	return item
}
