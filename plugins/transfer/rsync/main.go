// Command barman-transfer-rsync is the transfer plugin "rsync": it copies the data directory of a PostgreSQL server on
// another host, and restores to other hosts, with rsync over ssh.
package main

import (
	"context"

	"github.com/barman-go/barman/plugins/transfer/internal/filecopy"
	"github.com/barman-go/barman/sdk/plugin"
	"github.com/barman-go/barman/sdk/transfer"
)

func main() { plugin.Serve(definition()) }

func definition() plugin.Definition {
	return plugin.Definition{
		Name: "rsync", Version: "1.0.0", License: "Apache-2.0",
		Summary: "copies files with rsync over ssh",
		Tools: []plugin.Tool{
			{Name: "rsync", MinimumVersion: filecopy.MinimumRsync, Required: true},
			{Name: "ssh", Required: true},
		},
		Transfer: func(_ context.Context, env plugin.Env) (transfer.Transfer, error) { return filecopy.NewSSH(env), nil },
	}
}
