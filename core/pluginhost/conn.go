package pluginhost

import (
	"context"
	"errors"
	"os"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	compressv1 "github.com/barman-go/barman/sdk/pb/barman/compress/v1"
	hookv1 "github.com/barman-go/barman/sdk/pb/barman/hook/v1"
	pluginv1 "github.com/barman-go/barman/sdk/pb/barman/plugin/v1"
	transferv1 "github.com/barman-go/barman/sdk/pb/barman/transfer/v1"
	"github.com/barman-go/barman/sdk/plugin"
)

// repeatable are the calls that may be made again after a crash: they change nothing, or only a file that did not exist
// before.
var repeatable = map[string]bool{
	compressv1.Compressor_Describe_FullMethodName:       true,
	compressv1.Compressor_CompressFile_FullMethodName:   true,
	compressv1.Compressor_DecompressFile_FullMethodName: true,
	compressv1.Compressor_TestFile_FullMethodName:       true,
	transferv1.Transfer_Describe_FullMethodName:         true,
	transferv1.Transfer_ReadFile_FullMethodName:         true,
	transferv1.Transfer_Stat_FullMethodName:             true,
	hookv1.Hook_Describe_FullMethodName:                 true,
}

// processConn is the connection to a process, with the loss of the process turned into a *CrashError.
type processConn struct {
	proc *process
	run  *running
}

// Invoke makes a unary call.
func (c *processConn) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	return c.proc.failed(ctx, c.run, c.run.conn.Invoke(ctx, method, args, reply, opts...))
}

// NewStream makes a streaming call.
func (c *processConn) NewStream(
	ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	s, err := c.run.conn.NewStream(ctx, desc, method, opts...)
	if err != nil {
		return nil, c.proc.failed(ctx, c.run, err)
	}
	return &instanceStream{ClientStream: s, caller: ctx, proc: c.proc, run: c.run}, nil
}

// failed turns an error into the report of a crash, if it is one. When ctx ended, the caller is not interested.
func (p *process) failed(ctx context.Context, run *running, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	if crash := p.crash(run, err); crash != nil {
		return crash
	}
	return err
}

// instanceConn is the connection of one typed client. It opens the instance with the first call and again after a
// restart of the process, puts the instance's id into every request, and turns the loss of the process into a
// *CrashError.
type instanceConn struct {
	proc *process
	open plugin.OpenRequest

	mu  sync.Mutex
	run *running
	id  string
}

// ready returns the process and the id of the instance in it.
func (c *instanceConn) ready(ctx context.Context) (*running, string, error) {
	run, err := c.proc.ensure(ctx)
	if err != nil {
		return nil, "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.run == run && c.id != "" {
		return run, c.id, nil
	}
	id, found, err := plugin.NewClient(&processConn{c.proc, run}).Open(ctx, c.open)
	if err != nil {
		return nil, "", err
	}
	if found.HasErrors() {
		return nil, "", &ConfigError{Plugin: c.proc.found.key(), Server: c.open.Server, Diagnostics: found}
	}
	c.run, c.id = run, id
	return run, id, nil
}

// opened returns the instance if it is open in a process that runs.
func (c *instanceConn) opened() (*running, string) {
	run := c.proc.runningNow()
	c.mu.Lock()
	defer c.mu.Unlock()
	if run == nil || c.run != run {
		return nil, ""
	}
	return run, c.id
}

// Invoke makes a unary call, a second time if the process died of the first and the call may be repeated.
func (c *instanceConn) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	switch method {
	case pluginv1.Plugin_Cancel_FullMethodName, pluginv1.Plugin_Close_FullMethodName:
		return c.invokeOpened(ctx, method, args, reply, opts)
	}
	destination, fresh := absentDestination(args)
	err := c.invokeOnce(ctx, method, args, reply, opts)
	if !isCrash(err) || !repeatable[method] || !fresh {
		// Somebody reads from a pipe what the dead process has written into it; it cannot be taken back.
		return err
	}
	if destination != "" {
		// What the dead process left of it.
		_ = os.Remove(destination)
	}
	return c.invokeOnce(ctx, method, args, reply, opts)
}

func (c *instanceConn) invokeOnce(ctx context.Context, method string, args, reply any, opts []grpc.CallOption) error {
	run, id, err := c.ready(ctx)
	if err != nil {
		return err
	}
	setInstance(args, id)
	return (&processConn{c.proc, run}).Invoke(ctx, method, args, reply, opts...)
}

// invokeOpened makes a call that has nothing to do when there is no instance.
func (c *instanceConn) invokeOpened(ctx context.Context, method string, args, reply any, opts []grpc.CallOption) error {
	run, id := c.opened()
	if run == nil || id == "" {
		return nil
	}
	setInstance(args, id)
	if method == pluginv1.Plugin_Close_FullMethodName {
		c.mu.Lock()
		c.id = ""
		c.mu.Unlock()
		return run.conn.Invoke(ctx, method, args, reply, opts...)
	}
	// Whoever cancels relies on it that nothing goes on behind its back: what does not stop is ended.
	ctx, release := context.WithTimeout(ctx, c.proc.host.opts.StopTimeout)
	defer release()
	err := run.conn.Invoke(ctx, method, args, reply, opts...)
	if status.Code(err) == codes.DeadlineExceeded {
		c.proc.end(run)
	}
	return err
}

// NewStream makes a streaming call; none of them may be repeated.
func (c *instanceConn) NewStream(
	ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	run, id, err := c.ready(ctx)
	if err != nil {
		return nil, err
	}
	s, err := (&processConn{c.proc, run}).NewStream(ctx, desc, method, opts...)
	if err != nil {
		return nil, err
	}
	s.(*instanceStream).id = id
	return s, nil
}

// instanceStream is one streaming call.
type instanceStream struct {
	grpc.ClientStream
	// caller is the context of the call; that of the stream also ends when the connection does.
	caller context.Context
	proc   *process
	run    *running
	id     string
}

// SendMsg sends the request.
func (s *instanceStream) SendMsg(m any) error {
	if s.id != "" {
		setInstance(m, s.id)
	}
	return s.ClientStream.SendMsg(m)
}

// RecvMsg receives a message.
func (s *instanceStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if err == nil {
		return nil
	}
	return s.proc.failed(s.caller, s.run, err)
}

// setInstance fills in the field `instance`, which every request of an instance has.
func setInstance(message any, id string) {
	m, ok := message.(proto.Message)
	if !ok {
		return
	}
	r := m.ProtoReflect()
	if field := r.Descriptor().Fields().ByName("instance"); field != nil {
		r.Set(field, protoreflect.ValueOfString(id))
	}
}

// absentDestination returns the destination of a request, or "" when it has none, and whether nothing is there yet.
func absentDestination(args any) (path string, absent bool) {
	m, ok := args.(interface{ GetDestination() string })
	if !ok || m.GetDestination() == "" {
		return "", true
	}
	_, err := os.Lstat(m.GetDestination())
	return m.GetDestination(), errors.Is(err, os.ErrNotExist)
}

// connectionLost tells whether the connection itself broke.
func connectionLost(err error) bool { return status.Code(err) == codes.Unavailable }

// mayBeCrash tells whether a failed call can be the first sign of a dead process.
func mayBeCrash(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.Canceled, codes.Internal, codes.Unknown:
		_, isStatus := status.FromError(err)
		return isStatus
	}
	return false
}
