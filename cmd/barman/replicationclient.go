package main

import (
	"fmt"
	"strings"

	"github.com/barman-go/barman/core/postgres"
	"github.com/barman-go/barman/core/wal"
)

// replicationClient is one client with what is derived of it.
type replicationClient struct {
	postgres.ReplicationClient
	standby bool
}

func describeClient(c postgres.ReplicationClient) replicationClient {
	return replicationClient{c, c.IsStandby()}
}

// name is the client's kind: "#1 Sync WAL streamer".
func (c replicationClient) name() string {
	kind := "WAL streamer"
	if c.standby {
		kind = "standby"
	}
	text := capitalize(c.SyncState) + " " + kind
	if c.SyncPriority > 0 {
		text = fmt.Sprintf("#%d %s", c.SyncPriority, text)
	}
	return text
}

// stage says how far the client is, of the stages that a transaction passes on its way to a client of its kind.
func (c replicationClient) stage(current wal.LSN) string {
	last := 3
	if c.standby {
		last = 5
	}
	switch {
	case c.standby && c.Replay == current:
		return "5/5 Hot standby (max)"
	case c.standby && c.Flush == current:
		return "4/5 2-safe"
	case c.Write == current:
		return fmt.Sprintf("3/%d Remote write", last)
	case c.Sent == current:
		return fmt.Sprintf("2/%d WAL Sent (min)", last)
	}
	return fmt.Sprintf("1/%d 1-safe", last)
}

func (c replicationClient) communication() string {
	if c.ClientAddress == "" {
		return "Unix domain socket"
	}
	return "TCP/IP"
}

func (c replicationClient) host() string {
	if c.ClientHostname == "" {
		return "-"
	}
	return c.ClientHostname
}

// position is one of the places in the WAL up to which the client has come.
type position struct {
	key, label string
	lsn        wal.LSN
}

// positions are those that are known.
func (c replicationClient) positions() (known []position) {
	all := []position{{"sent", "Sent", c.Sent}, {"write", "Write", c.Write}, {"flush", "Flush", c.Flush}, {"replay", "Replay", c.Replay}}
	for _, p := range all {
		if p.lsn != 0 {
			known = append(known, p)
		}
	}
	return known
}

func capitalize(text string) string {
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + strings.ToLower(text[1:])
}

func (c replicationClient) minimalJSON() map[string]any {
	item := map[string]any{
		"user_name": c.User, "client_addr": c.ClientAddress, "sent_lsn": c.Sent.String(), "sync_priority": c.SyncPriority,
		"application_name": c.ApplicationName,
	}
	if c.ClientAddress == "" {
		item["client_addr"] = "socket"
	}
	if c.standby {
		item["sync_state"], item["flush_lsn"], item["replay_lsn"] = c.SyncState, c.Flush.String(), c.Replay.String()
	} else {
		item["write_lsn"] = c.Write.String()
	}
	return item
}
