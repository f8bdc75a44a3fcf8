// Package reference writes docs/configuration.md from the option table, so that the documentation cannot differ from
// what the program does. `go run ./core/config/internal/gendoc` writes the file; a test finds drift.
package reference
