package plugin

import (
	"context"
	"fmt"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/internal/wire"
	compressv1 "github.com/barman-go/barman/sdk/pb/barman/compress/v1"
	hookv1 "github.com/barman-go/barman/sdk/pb/barman/hook/v1"
	pluginv1 "github.com/barman-go/barman/sdk/pb/barman/plugin/v1"
	transferv1 "github.com/barman-go/barman/sdk/pb/barman/transfer/v1"
	"github.com/barman-go/barman/sdk/schema"
)

// service is the Plugin service, which every plugin serves.
type service struct {
	pluginv1.UnimplementedPluginServer
	def       Definition
	log       hclog.Logger
	instances *instances
}

func newService(base context.Context, def Definition, log hclog.Logger) *service {
	return &service{def: def, log: log, instances: newInstances(base)}
}

// register adds the Plugin service and the typed one to a server.
func (s *service) register(server grpc.ServiceRegistrar) {
	pluginv1.RegisterPluginServer(server, s)
	switch s.def.Type() {
	case TypeCompress:
		compressv1.RegisterCompressorServer(server, newCompressService(s.instances))
	case TypeTransfer:
		transferv1.RegisterTransferServer(server, &transferService{instances: s.instances})
	case TypeHook:
		hookv1.RegisterHookServer(server, &hookService{instances: s.instances})
	}
}

// serverOptions are those of every server of this SDK.
func serverOptions() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.MaxRecvMsgSize(wire.MaxMessage), grpc.MaxSendMsgSize(wire.MaxMessage)}
}

// GetInfo tells what the plugin is.
func (s *service) GetInfo(context.Context, *pluginv1.GetInfoRequest) (*pluginv1.GetInfoResponse, error) {
	return s.def.info(), nil
}

// GetSchema lists its options.
func (s *service) GetSchema(context.Context, *pluginv1.GetSchemaRequest) (*pluginv1.GetSchemaResponse, error) {
	attributes, err := wire.FromSchema(s.def.Schema)
	if err != nil {
		return nil, err
	}
	return &pluginv1.GetSchemaResponse{Attributes: attributes}, nil
}

// Validate checks a configuration.
func (s *service) Validate(_ context.Context, r *pluginv1.ValidateRequest) (*pluginv1.ValidateResponse, error) {
	_, found := completeConfig(s.def, r.GetConfigJson())
	return &pluginv1.ValidateResponse{Diagnostics: wire.FromList(found)}, nil
}

// Open opens an instance.
func (s *service) Open(ctx context.Context, r *pluginv1.OpenRequest) (*pluginv1.OpenResponse, error) {
	values, found := completeConfig(s.def, r.GetConfigJson())
	if found.HasErrors() {
		return &pluginv1.OpenResponse{Diagnostics: wire.FromList(found)}, nil
	}
	env := Env{
		Config: values, Server: r.GetServer(), PathPrefix: r.GetPathPrefix(), WorkDir: r.GetWorkDir(), Log: s.log,
	}
	if env.Server != "" {
		env.Log = s.log.With("server", env.Server)
	}
	id, err := s.instances.add(ctx, func(ctx context.Context) (any, error) { return s.def.open(ctx, env) })
	if err != nil {
		return &pluginv1.OpenResponse{Diagnostics: wire.Diagnostics(err)}, nil
	}
	return &pluginv1.OpenResponse{Instance: id, Diagnostics: wire.FromList(found)}, nil
}

// Cancel ends the calls of an operation and waits for them. It is an error when they go on.
func (s *service) Cancel(ctx context.Context, r *pluginv1.CancelRequest) (*pluginv1.CancelResponse, error) {
	if inst, err := s.instances.get(r.GetInstance()); err == nil {
		inst.endCalls(ctx, func(c *call) bool { return c.op == r.GetOp() })
	}
	if err := ctx.Err(); err != nil {
		return nil, status.FromContextError(err).Err()
	}
	return &pluginv1.CancelResponse{}, nil
}

// Close closes an instance.
func (s *service) Close(ctx context.Context, r *pluginv1.CloseRequest) (*pluginv1.CloseResponse, error) {
	s.instances.close(ctx, r.GetInstance())
	return &pluginv1.CloseResponse{}, nil
}

// open calls the author's function of the plugin's type.
func (d Definition) open(ctx context.Context, env Env) (any, error) {
	switch d.Type() {
	case TypeCompress:
		c, err := d.Compress(ctx, env)
		if err != nil || c == nil {
			return nil, err
		}
		return c, nil
	case TypeTransfer:
		t, err := d.Transfer(ctx, env)
		if err != nil || t == nil {
			return nil, err
		}
		return t, nil
	default:
		h, err := d.Hook(ctx, env)
		if err != nil || h == nil {
			return nil, err
		}
		return h, nil
	}
}

// completeConfig checks a configuration against the schema and, if it fits, with the plugin's own Validate.
func completeConfig(d Definition, configJSON string) (schema.Values, diag.List) {
	given, err := schema.ParseValues(configJSON)
	if err != nil {
		return nil, diag.List{{
			Severity: diag.Error, Code: diag.CodeProtocol, Summary: fmt.Sprintf("plugin %s: %v", d.Name, err),
		}}
	}
	values, found := d.Schema.Complete(given)
	if !found.HasErrors() && d.Validate != nil {
		found = append(found, d.Validate(values)...)
	}
	return values, found
}
