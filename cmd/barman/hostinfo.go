package main

import (
	"bytes"
	"context"
	"runtime"
	"strings"
	"time"

	"github.com/barman-go/barman/sdk/toolexec"
)

// askHost prints what identifies a host, one fact a line. It is for every POSIX shell.
const askHost = `
echo "kernel_ver: $(uname -s) $(uname -r) $(uname -v) $(uname -m)"
if [ -r /etc/os-release ]; then echo "release: $(. /etc/os-release; echo "$PRETTY_NAME")"; fi
echo "rsync_ver: $(rsync --version 2>/dev/null | head -n 1)"
echo "ssh_ver: $(ssh -V 2>&1)"
`

// hostPatience is how long a host may take to answer.
const hostPatience = 20 * time.Second

// hostInfo asks this host, or the one to which remote logs in. What is not known is missing; an error stands under "error".
func hostInfo(ctx context.Context, remote []string, pathPrefix ...string) map[string]any {
	ctx, cancel := context.WithTimeout(ctx, hostPatience)
	defer cancel()
	info := map[string]any{}
	argv := []string{"sh", "-c", askHost}
	if remote == nil {
		info["go_ver"], info["executable"] = runtime.Version(), executable()
	} else {
		argv = append(toolexec.Unattended(remote), askHost)
	}
	var out bytes.Buffer
	if _, err := toolexec.Run(ctx, toolexec.Command{Name: argv[0], Args: argv[1:], PathPrefix: pathPrefix, Stdout: &out}); err != nil {
		info["error"] = err.Error()
	}
	for line := range strings.Lines(out.String()) {
		if key, value, found := strings.Cut(strings.TrimSpace(line), ": "); found && value != "" {
			info[key] = value
		}
	}
	return info
}

// remoteHostInfo asks the host of the server; nil when it does not answer.
func (s *server) remoteHostInfo(ctx context.Context, remote []string) map[string]any {
	info := hostInfo(ctx, remote, s.PathPrefix...)
	if err, failed := info["error"]; failed {
		s.log.Warn("cannot ask the server's host", "server", s.Name, "error", err)
		return nil
	}
	return info
}

// isoTime is a time as Python's isoformat() has it, in the zone of this host.
func isoTime(t time.Time) string {
	layout := "2006-01-02T15:04:05.000000-07:00"
	if t.Nanosecond()/1000 == 0 {
		layout = "2006-01-02T15:04:05-07:00"
	}
	return t.Local().Format(layout)
}
