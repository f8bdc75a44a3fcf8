// Package wire holds what the plugin side (sdk/plugin) and the typed clients (sdk/compress, sdk/transfer, sdk/hook) must
// agree on about the messages of barman.*.v1: how a diagnostic and a schema look on the wire, how big a message may be,
// and what a gRPC status means to a person.
//
// Rules: generated types stay on this side of the SDK's public API; a gRPC status is a fault of the protocol or of the
// process and never reaches a caller raw; what went wrong in the world travels as a diagnostic.
package wire
