package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/barman-go/barman/core/backup"
	"github.com/barman-go/barman/core/config"
	"github.com/barman-go/barman/core/postgres"
	"github.com/barman-go/barman/core/recovery"
	"github.com/barman-go/barman/sdk/transfer"
)

// configured is the server "main" of a configuration; global are lines of the barman block.
func configured(t *testing.T, global, server string) *server {
	t.Helper()
	path := filepath.Join(t.TempDir(), "barman.hcl")
	text := "barman {\n  barman_home = \"/srv/barman\"\n" + global + "\n}\nserver \"main\" {\n  conninfo = \"host=pg1\"\n  archiver = true\n" + server + "\n}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, found := config.Load(config.LoadOptions{Path: path, Env: func(string) (string, bool) { return "", false }})
	if len(found) > 0 {
		t.Fatal(found)
	}
	c, _ := cfg.Server("main")
	return (&app{cfg: cfg}).server(c)
}

// commandLine parses options as a command does that has them.
func commandLine(t *testing.T, register func(*pflag.FlagSet), args ...string) *cobra.Command {
	t.Helper()
	cmd := &cobra.Command{}
	register(cmd.Flags())
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// TestBackupTakesItsOptionsFromConfigurationAndCommandLine: global values, those of the server over them, and the command line over all.
func TestBackupTakesItsOptionsFromConfigurationAndCommandLine(t *testing.T) {
	const (
		global = "  reuse_backup = \"link\"\n  bandwidth_limit = 100\n  parallel_jobs = 2\n  immediate_checkpoint = true\n  network_compression = true"
		rsync  = "  ssh_command = \"ssh postgres@pg1\"\n  backup_options = \"concurrent_backup\"\n"
	)
	workers, level := 3, 7
	for name, tc := range map[string]struct {
		global, server string
		args           []string
		want           backup.Options
	}{
		"nothing is said": {server: rsync, want: backup.Options{Reuse: transfer.ReuseOff, Workers: 1}},
		"barman block": {
			global: global, server: rsync,
			want: backup.Options{Reuse: transfer.ReuseLink, BandwidthLimit: 100, Workers: 2, ImmediateCheckpoint: true, NetworkCompression: true},
		},
		"server block": {
			global: global,
			server: rsync + "  reuse_backup = \"copy\"\n  bandwidth_limit = 0\n  parallel_jobs = 8\n  immediate_checkpoint = false\n" +
				"  network_compression = false\n  tablespace_bandwidth_limit = \"hot:8000, archive:4000\"",
			want: backup.Options{Reuse: transfer.ReuseCopy, Workers: 8, TablespaceBandwidthLimit: map[string]int{"hot": 8000, "archive": 4000}},
		},
		"command line": {
			global: global, server: rsync,
			args: []string{"--reuse-backup=off", "--bwlimit", "7", "-j", "4", "--no-immediate-checkpoint"},
			want: backup.Options{Reuse: transfer.ReuseOff, BandwidthLimit: 7, Workers: 4, NetworkCompression: true},
		},
		"the other way round": {
			server: rsync, args: []string{"--reuse-backup=copy", "--immediate-checkpoint", "--wait", "--wait-timeout", "9"},
			want: backup.Options{Reuse: transfer.ReuseCopy, Workers: 1, ImmediateCheckpoint: true, Wait: true, WaitTimeout: 9 * time.Second},
		},
		"the last of a pair is off": {
			server: rsync + "  basebackup_retry_times = 5",
			args:   []string{"--immediate-checkpoint", "--no-immediate-checkpoint", "--manifest", "--no-manifest", "--retry-times", "3", "--no-retry"},
			want:   backup.Options{Reuse: transfer.ReuseOff, Workers: 1},
		},
		"the last of a pair is on": {
			server: rsync,
			args:   []string{"--no-immediate-checkpoint", "--immediate-checkpoint", "--no-manifest", "--manifest", "--no-retry", "--retry-times", "3"},
			want: backup.Options{
				Reuse: transfer.ReuseOff, Workers: 1, ImmediateCheckpoint: true, Manifest: true, Retry: transfer.Retry{Times: 3},
			},
		},
		"an option without a value": {server: rsync, args: []string{"--reuse-backup"}, want: backup.Options{Reuse: transfer.ReuseLink, Workers: 1}},
		"pg_basebackup": {
			server: "  backup_method = \"postgres\"\n  backup_compression = \"zstd\"\n  backup_compression_workers = 3\n  backup_compression_level = 7\n" +
				"  backup_compression_location = \"server\"\n  backup_compression_format = \"plain\"",
			want: backup.Options{Reuse: transfer.ReuseOff, Workers: 1, Compression: &transfer.Compression{
				Algorithm: "zstd", Workers: &workers, Level: &level, Location: "server", Format: "plain",
			}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var f backupFlags
			s := configured(t, tc.global, tc.server)
			f.override(commandLine(t, f.register, tc.args...), s)
			o, err := s.backupOptions(&f)
			if err != nil {
				t.Fatal(err)
			}
			got := backup.Options{
				Reuse: o.Reuse, BandwidthLimit: o.BandwidthLimit, TablespaceBandwidthLimit: o.TablespaceBandwidthLimit, Workers: o.Workers,
				ImmediateCheckpoint: o.ImmediateCheckpoint, NetworkCompression: o.NetworkCompression, Compression: o.Compression,
				Wait: o.Wait, WaitTimeout: o.WaitTimeout, Manifest: o.Manifest, Retry: transfer.Retry{Times: o.Retry.Times},
			}
			if diff := cmp.Diff(tc.want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreTypes(postgres.Conninfo{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestRecoverTakesItsOptionsFromConfigurationAndCommandLine is the same for a restore.
func TestRecoverTakesItsOptionsFromConfigurationAndCommandLine(t *testing.T) {
	const server = "  ssh_command = \"ssh pg1\"\n  backup_options = \"concurrent_backup\"\n  network_compression = true\n  parallel_jobs = 3\n  bandwidth_limit = 50\n  recovery_options = \"get-wal\"\n" +
		"  combine_mode = \"clone\"\n  recovery_staging_path = \"/var/tmp/work\""
	for name, tc := range map[string]struct {
		args []string
		want recovery.Options
	}{
		"configuration, another host": {
			args: []string{"--remote-ssh-command", "ssh db2"},
			want: recovery.Options{Workers: 3, BandwidthLimit: 50, GetWAL: true, CombineMode: "clone", RecoveryStagingPath: "/var/tmp/work", NetworkCompression: true},
		},
		"configuration, this host": {
			want: recovery.Options{Workers: 3, BandwidthLimit: 50, GetWAL: true, CombineMode: "clone", RecoveryStagingPath: "/var/tmp/work"},
		},
		"command line": {
			args: []string{"--jobs", "4", "--bwlimit", "0", "--no-get-wal", "--recovery-staging-path", "/tmp/x", "--network-compression", "--combine-mode", "copy"},
			want: recovery.Options{Workers: 4, RecoveryStagingPath: "/tmp/x", NetworkCompression: true, CombineMode: "copy"},
		},
		"the last of a pair is off": {
			args: []string{
				"--get-wal", "--no-get-wal", "--delta-restore", "--no-delta-restore", "--network-compression", "--no-network-compression",
				"--retry-times", "3", "--no-retry",
			},
			want: recovery.Options{Workers: 3, BandwidthLimit: 50, RecoveryStagingPath: "/var/tmp/work", CombineMode: "clone"},
		},
		"the last of a pair is on": {
			args: []string{
				"--no-get-wal", "--get-wal", "--no-delta-restore", "--delta-restore", "--no-network-compression", "--network-compression",
				"--no-retry", "--retry-times", "3",
			},
			want: recovery.Options{
				Workers: 3, BandwidthLimit: 50, RecoveryStagingPath: "/var/tmp/work", CombineMode: "clone", GetWAL: true, Delta: true, NetworkCompression: true,
				Retry: transfer.Retry{Times: 3},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var f recoverFlags
			s := configured(t, "", server)
			o, err := f.options(commandLine(t, f.register, tc.args...), s, "latest", "/srv/pg")
			if err != nil {
				t.Fatal(err)
			}
			got := recovery.Options{
				Workers: o.Workers, BandwidthLimit: o.BandwidthLimit, GetWAL: o.GetWAL, NetworkCompression: o.NetworkCompression,
				RecoveryStagingPath: o.RecoveryStagingPath, CombineMode: o.CombineMode, Delta: o.Delta, Retry: transfer.Retry{Times: o.Retry.Times},
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
