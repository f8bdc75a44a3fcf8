package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/barman-go/barman/sdk/compress"
	"github.com/barman-go/barman/sdk/hook"
	"github.com/barman-go/barman/sdk/plugin"
	"github.com/barman-go/barman/sdk/schema"
	"github.com/barman-go/barman/sdk/transfer"
)

func main() {
	name := filepath.Base(os.Args[0])
	startupFault(name)
	def := plugin.Definition{
		Name: "fault", Version: "1.2.3", Summary: "misbehaves on request", License: "Apache-2.0",
		Schema: schema.Schema{
			{Name: "fault", Type: schema.String, Default: "", Help: "What to do wrong."},
			{Name: "marker", Type: schema.String, Default: "", Help: "A file that some faults create."},
			{Name: "old", Type: schema.Integer, Default: 3, Deprecated: "it has no effect", Help: "Not used."},
			{Name: "token", Type: schema.String, Sensitive: true, Help: "A secret."},
		},
	}
	switch {
	case strings.HasPrefix(name, "barman-compress-"):
		def.Compress = func(ctx context.Context, env plugin.Env) (compress.Compressor, error) {
			if err := openFault(ctx, env); err != nil {
				return nil, err
			}
			return &compressor{fault: fault{name: env.Config.String("fault"), marker: env.Config.String("marker")}}, nil
		}
	case strings.HasPrefix(name, "barman-transfer-"):
		def.Transfer = func(ctx context.Context, env plugin.Env) (transfer.Transfer, error) {
			if err := openFault(ctx, env); err != nil {
				return nil, err
			}
			return &copier{fault: fault{name: env.Config.String("fault"), marker: env.Config.String("marker")}}, nil
		}
	default:
		if other, found := strings.CutPrefix(name, "barman-hook-"); found && other != "liar" {
			def.Name = other
		}
		def.Hook = func(ctx context.Context, env plugin.Env) (hook.Hook, error) {
			if err := openFault(ctx, env); err != nil {
				return nil, err
			}
			return &reporter{env: env}, nil
		}
	}
	plugin.Serve(def)
}
