package basebackup

import (
	"fmt"
	"strings"

	"github.com/barman-go/barman/sdk/transfer"
)

// Limits of --max-rate in kB/s (PostgreSQL manual, pg_basebackup).
const (
	minRate = 32
	maxRate = 1 << 20
)

// arguments builds the tool's command line. It holds no secret.
func arguments(t tool, req *transfer.TakeBackupRequest) ([]string, error) {
	args := []string{
		"--dbname=" + req.Conninfo, "--verbose", "--no-password", "--progress", "--pgdata=" + req.Destination,
	}
	if t.version >= 100000 {
		args = append(args, "--no-slot", "--wal-method=none")
	}
	for _, ts := range req.Tablespaces {
		args = append(args, "--tablespace-mapping="+mapping(ts.Location)+"="+mapping(ts.Destination))
	}
	if req.BandwidthLimit > 0 && req.BandwidthLimit <= maxRate {
		args = append(args, fmt.Sprintf("--max-rate=%d", max(req.BandwidthLimit, minRate)))
	}
	if req.IncrementalManifest != "" {
		if t.version < 170000 {
			return nil, invalid("block-level incremental backups need pg_basebackup 17 or later, found %s", t.version)
		}
		args = append(args, "--incremental="+req.IncrementalManifest)
	}
	if req.ImmediateCheckpoint {
		args = append(args, "--checkpoint=fast")
	}
	more, err := compressionArguments(t.version, version(req.ServerVersion), req.Compression)
	return append(args, more...), err
}

// mapping writes a path of --tablespace-mapping, where a backslash escapes the equals sign.
func mapping(path string) string { return strings.ReplaceAll(path, "=", `\=`) }
