// Command faultplugin is a plugin that misbehaves on request, for tests.
//
// It is built once and linked (not symlinked) under the names of the plugins that a test needs; the name of its
// executable decides what it is:
//
//	barman-compress-fault   a sound compressor; option fault = "panic" | "panic-once" | "hang" | …
//	barman-hook-fault       a hook; variable FAULT of an event = "env" | "stdin" | "huge" | …
//	barman-transfer-fault   a file copier; option fault as above
//	barman-hook-noise       prints on standard output before the handshake
//	barman-hook-exit        ends before the handshake, with a message
//	barman-hook-crash       panics before the handshake
//	barman-hook-mute        never shakes hands
//	barman-hook-liar        says that it is another plugin
//	barman-hook-future      speaks a later protocol version
//	barman-hook-tcp         listens where everybody can connect
//
// Without a fault it passes the conformance kit.
package main
