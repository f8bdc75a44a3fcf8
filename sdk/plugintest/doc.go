// Package plugintest is the conformance kit: it checks that an executable is a Barman plugin that behaves.
//
//	func TestConformance(t *testing.T) {
//		plugintest.Run(t, "/path/to/barman-compress-rot13")
//	}
//
// The kit starts the executable as Barman does, with nothing but a unix socket, /dev/null and an almost empty
// environment, speaks to it in real gRPC, and checks what Barman relies on: the handshake is all that is printed on
// standard output, what it says about itself is complete, unknown instances are refused, calls can be cancelled, and it
// exits, with everything it started, when Barman asks for it, dies, or sends SIGTERM. Then follows what its type
// promises: a compressor brings back every byte and notices damage; a transfer plugin describes itself and reports
// failures as failures; a hook maps its outcomes.
//
// It works for plugins in any language: it uses nothing of the plugin but the executable.
package plugintest
