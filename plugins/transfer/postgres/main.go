// Command barman-transfer-postgres is the transfer plugin "postgres": it takes base backups with pg_basebackup over
// PostgreSQL's replication protocol.
package main

import (
	"context"

	"github.com/barman-go/barman/plugins/transfer/internal/basebackup"
	"github.com/barman-go/barman/sdk/plugin"
	"github.com/barman-go/barman/sdk/transfer"
)

func main() { plugin.Serve(definition()) }

func definition() plugin.Definition {
	return plugin.Definition{
		Name: "postgres", Version: "1.0.0", License: "Apache-2.0",
		Summary: "takes base backups with pg_basebackup",
		Tools: []plugin.Tool{
			{Name: "pg_basebackup", MinimumVersion: "10", Required: true},
			{Name: "lz4"},
			{Name: "zstd"},
		},
		Transfer: func(_ context.Context, env plugin.Env) (transfer.Transfer, error) { return basebackup.New(env), nil },
	}
}
