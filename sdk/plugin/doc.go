// Package plugin turns a Definition into a Barman plugin.
//
// A whole compressor:
//
//	func main() {
//		plugin.Serve(plugin.Definition{
//			Name: "rot13", Version: "1.0.0", Summary: "rotates letters", License: "MIT",
//			Compress: func(ctx context.Context, env plugin.Env) (compress.Compressor, error) {
//				return rot13{}, nil
//			},
//		})
//	}
//
// Build it as `barman-compress-rot13`, put it in a directory of `path_prefix`, and write `compression = "rot13"`.
//
// Serve does what every plugin needs: the handshake, logging to the host, a guard on standard output (the handshake
// travels there), stopping everything the plugin started when the host dies or cancels, and `describe` on the command
// line, which prints the plugin's description as JSON.
package plugin
