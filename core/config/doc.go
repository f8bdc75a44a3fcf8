// Package config knows every option of Barman and reads the configuration.
//
// The option table (Options) is data: name, scope, kind of value, default, reaction to a bad value, help. Parsing,
// inheritance, the typed fields of Server, the documentation in docs/configuration.md and the importer of old
// configuration files are all derived from it.
//
//	barman {                                  # global options, and the defaults of every server
//	  barman_home = "/var/lib/barman"
//	  compression = "zstd"
//	}
//	server "main" {                           # Load: server's value, else barman's, else the table's default
//	  conninfo    = "host=pg1 user=barman"
//	  ssh_command = "ssh postgres@pg1"
//	  compression = "gzpi!"                   # rejected with a warning; "zstd" is in force
//	}
//
// Invariants:
//
//   - A mistake in one server never stops another one: the server gets messages (Server.Messages, Server.Disabled) and the
//     rest of the configuration stays in force. Only a mistake in the barman block, or no readable file, is fatal.
//   - Problems are data (Diagnostics); nothing is printed or logged here, and no snippet or text shows a password.
//   - The blocks of plugins stay unread until somebody has the plugin's schema (DecodePlugin).
//   - A loaded Config is never changed again; any number of goroutines may read it.
//
// Where the facts come from: Barman manual, chapter "Configuration", and the observed behaviour of Barman 3.17.
package config
