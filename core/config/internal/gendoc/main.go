// Command gendoc writes docs/configuration.md from the option table. Run it in the root of the repository.
package main

import (
	"log"
	"os"

	"github.com/barman-go/barman/core/config/internal/reference"
)

func main() {
	if err := os.WriteFile("docs/configuration.md", reference.Markdown(), 0o644); err != nil { //nolint:gosec // documentation
		log.Fatal(err)
	}
}
