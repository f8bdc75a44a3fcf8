package plugin

import (
	"context"
	"errors"

	"google.golang.org/grpc"

	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/internal/wire"
	pluginv1 "github.com/barman-go/barman/sdk/pb/barman/plugin/v1"
	"github.com/barman-go/barman/sdk/schema"
)

// Info is what a plugin says about itself.
type Info struct {
	Type, Name, Version, Summary, License string
	Services, Capabilities                []string
	Tools                                 []Tool
}

// OpenRequest is what a host opens an instance with.
type OpenRequest struct {
	Config     schema.Values
	Server     string
	PathPrefix []string
	// WorkDir is an absolute path.
	WorkDir string
}

// MaxMessage is the size of the largest message, in bytes, in both directions; a host dials with it.
const MaxMessage = wire.MaxMessage

// Client calls the service that every plugin serves. It is the host's side; authors of plugins do not need it. Errors
// are diagnostics or come from the connection; a gRPC status is never among them.
type Client struct{ rpc pluginv1.PluginClient }

// NewClient returns a client of a plugin.
func NewClient(conn grpc.ClientConnInterface) *Client { return &Client{pluginv1.NewPluginClient(conn)} }

// Info asks what the plugin is.
func (c *Client) Info(ctx context.Context) (Info, error) {
	r, err := c.rpc.GetInfo(ctx, &pluginv1.GetInfoRequest{})
	if err != nil {
		return Info{}, wire.CallError(err)
	}
	info := Info{
		Type: r.GetType(), Name: r.GetName(), Version: r.GetVersion(), Summary: r.GetSummary(), License: r.GetLicense(),
		Services: r.GetServices(), Capabilities: r.GetCapabilities(),
	}
	for _, t := range r.GetTools() {
		info.Tools = append(info.Tools, Tool{
			Name: t.GetName(), MinimumVersion: t.GetMinimumVersion(), Required: t.GetRequired(),
		})
	}
	return info, nil
}

// Schema asks for the plugin's options.
func (c *Client) Schema(ctx context.Context) (schema.Schema, error) {
	r, err := c.rpc.GetSchema(ctx, &pluginv1.GetSchemaRequest{})
	if err != nil {
		return nil, wire.CallError(err)
	}
	return wire.ToSchema(r.GetAttributes())
}

// Validate checks values that match the schema. The list holds errors and warnings about them; the error is about the
// call.
func (c *Client) Validate(ctx context.Context, values schema.Values) (diag.List, error) {
	config, err := values.JSON()
	if err != nil {
		return nil, err
	}
	r, err := c.rpc.Validate(ctx, &pluginv1.ValidateRequest{ConfigJson: config})
	if err != nil {
		return nil, wire.CallError(err)
	}
	return wire.ToList(r.GetDiagnostics()), nil
}

// Open opens an instance. The list holds errors, and then there is no instance, and warnings; the error is about the
// call.
func (c *Client) Open(ctx context.Context, req OpenRequest) (instance string, found diag.List, err error) {
	config, err := req.Config.JSON()
	if err != nil {
		return "", nil, err
	}
	r, err := c.rpc.Open(ctx, &pluginv1.OpenRequest{
		ConfigJson: config, Server: req.Server, PathPrefix: req.PathPrefix, WorkDir: req.WorkDir,
	})
	if err != nil {
		return "", nil, wire.CallError(err)
	}
	found = wire.ToList(r.GetDiagnostics())
	if !found.HasErrors() && r.GetInstance() == "" {
		return "", found, errors.New("the plugin opened no instance and did not say why")
	}
	return r.GetInstance(), found, nil
}

// Close closes an instance; its running calls end.
func (c *Client) Close(ctx context.Context, instance string) error {
	_, err := c.rpc.Close(ctx, &pluginv1.CloseRequest{Instance: instance})
	return wire.CallError(err)
}
