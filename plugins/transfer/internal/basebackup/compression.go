package basebackup

import (
	"fmt"
	"slices"
	"strings"

	"github.com/barman-go/barman/sdk/transfer"
)

// algorithm is what pg_basebackup demands of a compression.
type algorithm struct {
	name string
	// extension follows ".tar".
	extension string
	// since is the oldest client that knows it.
	since    version
	min, max int
	// zeroSince is the client from which level 0 is refused in favour of "none"; 0 means never.
	zeroSince version
	workers   bool
	// decoder is the program that reads it, nil when this process does.
	decoder []string
}

// algorithms are those of backup_compression (Barman manual, "Backup compression"; PostgreSQL manual, pg_basebackup).
var algorithms = []algorithm{
	{name: "gzip", extension: ".gz", min: -1, max: 9, zeroSince: 150000},
	{name: "lz4", extension: ".lz4", since: 150000, min: 0, max: 12, decoder: []string{"lz4", "-dc"}},
	{name: "zstd", extension: ".zst", since: 150000, min: -131072, max: 22, workers: true, decoder: []string{"zstd", "-dcq"}},
	{name: "none"},
}

func findAlgorithm(name string) (algorithm, bool) {
	i := slices.IndexFunc(algorithms, func(a algorithm) bool { return a.name == name })
	if i < 0 {
		return algorithm{}, false
	}
	return algorithms[i], true
}

// validateCompression returns why a combination is impossible. server 0 means that it is not known.
func validateCompression(client, server version, c *transfer.Compression) error {
	a, known := findAlgorithm(c.Algorithm)
	switch {
	case !known:
		return invalid("backup_compression %q is unknown; it can be gzip, lz4, zstd or none", c.Algorithm)
	case client < a.since:
		return invalid("backup_compression = %s requires pg_basebackup 15 or greater, found %s", a.name, client)
	case c.Workers != nil && !a.workers:
		return invalid("backup_compression_workers is not compatible with compression %s", a.name)
	case c.Workers != nil && *c.Workers < 0:
		return invalid("backup_compression_workers should be a non-negative integer: '%d' is invalid", *c.Workers)
	case !slices.Contains([]string{"", "plain", "tar"}, c.Format):
		return invalid("backup_compression_format %q is unknown; it can be plain or tar", c.Format)
	case !slices.Contains([]string{"", "client", "server"}, c.Location):
		return invalid("backup_compression_location %q is unknown; it can be client or server", c.Location)
	case c.Format == "plain" && c.Location != "server":
		return invalid("backup_compression_format plain is not compatible with backup_compression_location %s", orNone(c.Location))
	case c.Location == "server" && client < 150000:
		return invalid("backup_compression_location = server requires pg_basebackup 15 or greater, found %s", client)
	case c.Location == "server" && server != 0 && server < 150000:
		return invalid("backup_compression_location = server requires PostgreSQL 15 or greater, found %s", server)
	case c.Level == nil:
		return nil
	case *c.Level < a.min || *c.Level > a.max:
		return invalid("backup_compression_level %d unsupported by compression algorithm. %s takes %d to %d", *c.Level, a.name, a.min, a.max)
	case *c.Level == 0 && a.zeroSince != 0 && client >= a.zeroSince:
		return invalid("backup_compression_level 0 unsupported by compression algorithm. Use backup_compression = none for archives without compression")
	}
	return nil
}

// orNone writes an option that is not set as Barman does.
func orNone(text string) string {
	if text == "" {
		return "None"
	}
	return text
}

// compressionArguments returns the options; nil compression means the plain format.
func compressionArguments(client, server version, c *transfer.Compression) ([]string, error) {
	if c == nil || c.Algorithm == "" {
		return nil, nil
	}
	if err := validateCompression(client, server, c); err != nil {
		return nil, err
	}
	format := c.Format
	if format == "" {
		format = "tar"
	}
	args := []string{"--format=" + format}
	if client < 150000 {
		switch {
		case c.Algorithm == "none":
			return append(args, "--compress=0"), nil
		case c.Level != nil:
			return append(args, fmt.Sprintf("--compress=%d", *c.Level), "--gzip"), nil
		}
		return append(args, "--gzip"), nil
	}
	method := c.Algorithm
	if c.Location != "" && method != "none" {
		method = c.Location + "-" + method
	}
	var details []string
	if c.Level != nil && c.Algorithm != "none" {
		details = append(details, fmt.Sprintf("level=%d", *c.Level))
	}
	if c.Workers != nil {
		details = append(details, fmt.Sprintf("workers=%d", *c.Workers))
	}
	if len(details) > 0 {
		method += ":" + strings.Join(details, ",")
	}
	return append(args, "--compress="+method), nil
}
