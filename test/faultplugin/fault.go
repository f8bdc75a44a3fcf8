package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/plugin"
	"github.com/barman-go/barman/sdk/toolexec"
)

// startupFault does what the executable's name asks for before the handshake.
func startupFault(name string) {
	if os.Getenv(plugin.CookieKey) == "" {
		return
	}
	switch strings.TrimPrefix(name, "barman-hook-") {
	case "noise":
		fmt.Fprint(os.Stdout, "debug: here I am\nand here is half a line: ")
	case "exit":
		fmt.Fprintln(os.Stderr, "cannot read my licence file")
		os.Exit(3)
	case "crash":
		panic("no licence, no service")
	case "mute":
		select {}
	case "future":
		fmt.Fprintf(os.Stdout, "1|%d|unix|%s/socket|grpc|\n", plugin.ProtocolVersion+1, os.Getenv("PLUGIN_UNIX_SOCKET_DIR"))
		select {}
	case "tcp":
		fmt.Fprintf(os.Stdout, "1|%d|tcp|127.0.0.1:9|grpc|\n", plugin.ProtocolVersion)
		select {}
	}
}

// openFault fails an Open with two diagnostics.
func openFault(_ context.Context, env plugin.Env) error {
	if env.Config.String("fault") != "refuse" {
		return nil
	}
	return diag.List{
		{Summary: "the token has expired", Attribute: "token", Detail: "get a new one", Code: diag.CodeInvalidOption},
		{Summary: "the fault is not a fault", Attribute: "fault"},
	}.Err()
}

// fault is what an instance was told to do wrong.
type fault struct{ name, marker string }

// commit does it, in the middle of a call. It returns nil when nothing was asked for.
func (f fault) commit(ctx context.Context) error {
	switch f.name {
	case "panic":
		panic("told to panic")
	case "panic-once":
		if _, err := os.Stat(f.marker); errors.Is(err, os.ErrNotExist) {
			f.mark("")
			panic("told to panic once")
		}
	case "kill":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "kill-once":
		if _, err := os.Stat(f.marker); errors.Is(err, os.ErrNotExist) {
			f.mark("")
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	case "exit":
		fmt.Fprintln(os.Stderr, "giving up")
		os.Exit(7)
	case "hang":
		f.mark("")
		select {}
	case "hang-once":
		if _, err := os.Stat(f.marker); errors.Is(err, os.ErrNotExist) {
			f.mark("")
			select {}
		}
	case "slow-stop":
		f.mark("")
		<-ctx.Done()
		// A tool that takes its time to stop.
		time.Sleep(300 * time.Millisecond)
		f.mark("stopped")
		return ctx.Err()
	case "tool":
		// A tool with a child in the same group, and one that left the group but not the session.
		_, err := toolexec.Run(ctx, toolexec.Command{
			Name: "sh", Args: []string{"-c", `sleep 1000 & echo "$$ $!" > "$0.tmp"; mv "$0.tmp" "$0"; wait`, f.marker},
		})
		return err
	case "print":
		fmt.Fprintln(os.Stdout, "1|1|unix|/tmp/nowhere|grpc|")
		_, _ = syscall.Write(1, []byte("straight to the descriptor\n"))
		fmt.Fprintln(os.Stderr, "and on standard error")
	case "refuse-later":
		return diag.Diagnostic{
			Summary: "the disk is full", Detail: "0 bytes left on /x", Code: diag.CodeNoSpace, Attribute: "marker", Retryable: true,
		}
	}
	return nil
}

func (f fault) mark(text string) {
	if f.marker != "" {
		_ = os.WriteFile(f.marker, []byte(text), 0o600)
	}
}
