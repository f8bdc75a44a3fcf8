package main

import "github.com/barman-go/barman/cmd/internal/walclient"

// version is set by the linker.
var version = "dev"

func main() {
	p := walclient.Program{Command: newCommand(), Version: version}
	p.Main()
}
