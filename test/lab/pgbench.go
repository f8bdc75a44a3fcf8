package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
)

// Load is a pgbench that runs in the background.
type Load struct {
	cmd    *exec.Cmd
	output bytes.Buffer
	done   chan error
}

// InitPgbench creates pgbench's tables, 100000 rows (about 15 MB) for each unit of scale, in a tablespace unless that is empty.
func (c *Cluster) InitPgbench(ctx context.Context, scale int, tablespace string) error {
	args := append(c.pgbenchArgs(), "--initialize", "--quiet", "--scale="+strconv.Itoa(scale))
	if tablespace != "" {
		args = append(args, "--tablespace="+tablespace, "--index-tablespace="+tablespace)
	}
	_, err := mustRun(c.Tool(ctx, "pgbench", append(args, "postgres")...))
	return err
}

func (c *Cluster) pgbenchArgs() []string {
	return []string{"--host=" + c.SocketDir, "--port=" + strconv.Itoa(c.Port), "--username=postgres"}
}

// StartPgbench runs pgbench's standard transactions until Stop, and until the test ends at the latest.
func (c *Cluster) StartPgbench(t testing.TB, clients int, perSecond float64) *Load {
	t.Helper()
	load, err := c.NewPgbench(clients, perSecond)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = load.Stop() })
	return load
}

// NewPgbench is StartPgbench for programs. perSecond limits the transactions of all clients together; 0 means no limit.
func (c *Cluster) NewPgbench(clients int, perSecond float64) (*Load, error) {
	args := append(c.pgbenchArgs(), "--no-vacuum", "--time=86400", "--client="+strconv.Itoa(clients), "--jobs=1")
	if perSecond > 0 {
		args = append(args, fmt.Sprintf("--rate=%g", perSecond))
	}
	load := &Load{done: make(chan error, 1)}
	load.cmd = c.Tool(context.Background(), "pgbench", append(args, "postgres")...)
	load.cmd.Stdout, load.cmd.Stderr = &load.output, &load.output
	if err := load.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { load.done <- load.cmd.Wait() }()
	return load, nil
}

// Stop ends the load. It returns an error when pgbench had failed before, for instance because its server went away.
func (l *Load) Stop() error {
	select {
	case err := <-l.done:
		l.done <- err
		return fmt.Errorf("pgbench had ended (%w): %s", err, l.output.String())
	default:
	}
	if err := l.cmd.Process.Signal(syscall.SIGINT); err != nil {
		return err
	}
	err := <-l.done
	l.done <- nil
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil // our signal ended it
	}
	return err
}
