package matrix

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/test/lab"
)

// streamed is the method postgres.
func streamed(*scene) map[string]any {
	return map[string]any{"backup_method": "postgres"}
}

// postgresRows are what pg_basebackup does.
func postgresRows() []row {
	return []row{
		{name: "postgres, plain", options: streamed, taken: wantMode(catalog.ModePostgres)},
		{
			name: "bandwidth_limit, postgres", taken: notFasterThanAll(limit),
			options: func(*scene) map[string]any {
				return map[string]any{"backup_method": "postgres", "bandwidth_limit": limit}
			},
		},
		{name: "postgres, tar, gzip", options: compressed("gzip", nil), taken: archives("gzip", ".gz")},
		{
			name:    "postgres, tar, recovered through ssh",
			recover: func(s *scene) []string { return []string{"--remote-ssh-command", s.ssh()} },
		},
		{name: "postgres, tar, uncompressed", options: compressed("none", nil), taken: archives("none", "")},
		{
			name: "postgres, tar, lz4 on the client", cannot: since(15, "came with 15"), taken: archives("lz4", ".lz4"),
			options: compressed("lz4", map[string]any{"backup_compression_location": "client"}),
		},
		{
			name: "postgres, tar, zstd on the server by 2 workers", cannot: since(15, "came with 15"), taken: archives("zstd", ".zst"),
			options: compressed("zstd", map[string]any{
				"backup_compression_location": "server", "backup_compression_workers": 2, "backup_compression_level": 3,
			}),
		},
		{
			name: "postgres, plain, compressed on the server", cannot: since(15, "came with 15"), taken: archives("", "plain"),
			options: compressed("gzip", map[string]any{"backup_compression_location": "server", "backup_compression_format": "plain"}),
		},
		{
			name: "--incremental, on an incremental backup", cannot: since(17, "came with 17"), options: streamed,
			by: takeChain(2), taken: lastOfChain(2),
		},
		{
			name: "--incremental, tar, recovered through ssh", cannot: since(17, "came with 17"), options: compressed("zstd", nil),
			by: takeChain(1), taken: lastOfChain(1),
			recover: func(s *scene) []string {
				return []string{"--remote-ssh-command", s.ssh(), "--staging-path", lab.ScratchDir(s.whole)}
			},
		},
	}
}

// takeChain takes a full backup and incremental ones, each of the one before.
func takeChain(incremental int) func(*testing.T, *trial) {
	return func(t *testing.T, tr *trial) {
		tr.host.Must(t, "backup", "--wait", "main")
		for range incremental {
			if err := tr.ledger.WaitCommits(t.Context(), 5); err != nil {
				t.Fatal(err)
			}
			tr.output = tr.host.Must(t, "backup", "--wait", "--incremental", "latest", "main")
		}
	}
}

// lastOfChain wants the last backup of a chain, with less in it than the full one.
func lastOfChain(incremental int) func(*testing.T, *trial) {
	return func(t *testing.T, tr *trial) {
		list, err := tr.host.Catalog("main").List()
		if err != nil {
			t.Fatal(err)
		}
		chain, complete := list.Chain(tr.info)
		if len(chain) != incremental+1 || !complete {
			t.Fatalf("the chain of backup %s has %d backups (complete: %v), want %d", tr.info.ID, len(chain), complete, incremental+1)
		}
		for i, b := range chain[1:] {
			if parent := chain[i]; !slices.Contains(parent.ChildrenIDs, b.ID) {
				t.Errorf("backup %s does not name %s among its children %v", parent.ID, b.ID, parent.ChildrenIDs)
			}
		}
		if tr.info.Size.N >= chain[0].Size.N {
			t.Errorf("the incremental backup has %d bytes, the full one %d", tr.info.Size.N, chain[0].Size.N)
		}
	}
}

// compressed are the options of a compressed backup.
func compressed(algorithm string, more map[string]any) func(*scene) map[string]any {
	return func(*scene) map[string]any {
		options := map[string]any{"backup_method": "postgres", "backup_compression": algorithm}
		maps.Copy(options, more)
		return options
	}
}

// archives wants a backup in archives of a compression, one for PGDATA and one for each tablespace; with "plain" a directory.
func archives(compression, suffix string) func(*testing.T, *trial) {
	return func(t *testing.T, tr *trial) {
		if tr.info.Compression != compression {
			t.Errorf("the catalog says compression %q, want %q", tr.info.Compression, compression)
		}
		if suffix == "plain" {
			if _, err := os.Stat(tr.data("PG_VERSION")); err != nil {
				t.Error(err)
			}
			return
		}
		want := []string{"base.tar" + suffix}
		for _, space := range tr.info.Tablespaces {
			want = append(want, fmt.Sprintf("%d.tar%s", space.OID, suffix))
		}
		for _, name := range want {
			if _, err := os.Stat(tr.data(name)); err != nil {
				t.Error(err)
			}
		}
	}
}

// notFasterThanAll is notFasterThan for a copy that tells one time for everything.
func notFasterThanAll(kBps int64) func(*testing.T, *trial) {
	return func(t *testing.T, tr *trial) {
		if least := float64(tr.info.Size.N) / float64(kBps*1024) / 2; tr.info.CopyStats.CopyTime < least {
			t.Errorf("%d bytes took %.2f s, at %d kB/s at least %.2f", tr.info.Size.N, tr.info.CopyStats.CopyTime, kBps, least)
		}
	}
}
