package main

import "github.com/barman-go/barman/cmd/internal/walclient"

// version is set by the linker.
var version = "dev"

func main() {
	// A command that SIGTERM has ended is PostgreSQL's sign of a shutdown; an exit code would mean that the file does not exist,
	// and that recovery is complete.
	p := walclient.Program{Command: newCommand(), Version: version, DiesBySIGTERM: true}
	p.Main()
}
