// Package pluginhost finds, trusts, starts and reuses plugins, and hands out their typed clients.
//
//	host, err := pluginhost.New(pluginhost.Options{BundledDir: "/usr/libexec/barman/plugins", Log: log})
//	defer host.Close()
//	zstd, err := host.Compressor(ctx, "zstd", pluginhost.Use{Server: "main", Decode: decode})
//	result, err := zstd.CompressFile(ctx, compress.FileRequest{…})
//
// # Finding
//
// The executable barman-TYPE-NAME is looked for in this order, first trusted match wins: the path in a plugin block, the
// server's path_prefix, the global path_prefix, the bundled directory, PATH. A file that others could have changed is
// never executed: see trust.go. What is checked is an open file descriptor, and that descriptor is what is executed.
//
// # Running
//
// A plugin starts with its first use and serves every server of the run; Close ends it. hashicorp/go-plugin does the
// handshake and the connection; runner.go replaces how it starts and ends a process:
//
//	barman ──┬─ socket pair ──▶ descriptor 3   end of file: stop everything and exit
//	         ├─ Pdeathsig ────▶ SIGTERM        the same, from the kernel
//	         ├─ /dev/null ────▶ stdin          the host's stdin carries WAL
//	         ├─ stdout ◀─────── one line       the handshake; noise is logged
//	         └─ stderr ◀─────── log lines      as JSON; the last ones are kept for the report of a crash
//
// A plugin that is told to stop an operation and does not is killed. The plugin leads a session of its own. When it ends,
// however it ends, the host kills what is left of that session.
//
// # Invariants
//
// No gRPC status and no Go stack reaches a caller: errors are *NotFoundError, *StartError, *CrashError, *ConfigError, or
// what the typed clients return. Only calls that may be repeated without harm are repeated after a crash, once.
package pluginhost
