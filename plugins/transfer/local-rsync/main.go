// Command barman-transfer-local-rsync is the transfer plugin "local-rsync": it copies the data directory of a PostgreSQL
// server that runs on the Barman host, and restores there, with rsync.
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
		Name: "local-rsync", Version: "1.0.0", License: "Apache-2.0",
		Summary:  "copies files on the Barman host with rsync",
		Tools:    []plugin.Tool{{Name: "rsync", MinimumVersion: filecopy.MinimumRsync, Required: true}},
		Transfer: func(_ context.Context, env plugin.Env) (transfer.Transfer, error) { return filecopy.NewLocal(env), nil },
	}
}
