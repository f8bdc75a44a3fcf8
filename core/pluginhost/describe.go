package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/grpc"

	"github.com/barman-go/barman/sdk/compress"
	"github.com/barman-go/barman/sdk/hook"
	"github.com/barman-go/barman/sdk/plugin"
	"github.com/barman-go/barman/sdk/schema"
	"github.com/barman-go/barman/sdk/transfer"
)

// description is what a plugin says about itself, asked for once per start.
type description struct {
	info   plugin.Info
	schema schema.Schema
	// problem says why the plugin cannot be used although it answers.
	problem string
}

func describe(ctx context.Context, conn grpc.ClientConnInterface) (d description, err error) {
	client := plugin.NewClient(conn)
	if d.info, err = client.Info(ctx); err != nil {
		return d, err
	}
	d.schema, err = client.Schema(ctx)
	return d, err
}

// fits checks that a plugin is what its file name says and speaks the service of its type.
func (d *description) fits(f *Found) error {
	service := map[string]string{
		plugin.TypeCompress: compress.ServiceName, plugin.TypeTransfer: transfer.ServiceName, plugin.TypeHook: hook.ServiceName,
	}[f.Type]
	switch {
	case d.info.Type != f.Type || d.info.Name != f.Name:
		d.problem = fmt.Sprintf("it says that it is the %s plugin %q; its file must be called %s",
			d.info.Type, d.info.Name, plugin.ExecutableName(d.info.Type, d.info.Name))
	case !slices.Contains(d.info.Services, service):
		d.problem = fmt.Sprintf("it does not offer %s (it offers %v); install one built for this version of Barman",
			service, d.info.Services)
	default:
		if err := d.schema.Check(); err != nil {
			d.problem = "its options are wrongly described: " + oneLine(err)
		}
	}
	if d.problem != "" {
		return errors.New(d.problem)
	}
	return nil
}
