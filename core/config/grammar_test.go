package config

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// grammarCase is one text for one option; want is nil when the text is refused.
type grammarCase struct {
	option, text string
	want         any
}

func TestGrammars(t *testing.T) {
	for _, c := range []grammarCase{
		{"archiver", "true", true},
		{"archiver", "T", true},
		{"archiver", "YES", true},
		{"archiver", "1", true},
		{"archiver", "On", true},
		{"archiver", "false", false},
		{"archiver", "f", false},
		{"archiver", "no", false},
		{"archiver", "0", false},
		{"archiver", "OFF", false},
		{"archiver", "y", nil},
		{"archiver", "", nil},
		{"archiver", " true", nil},
		{"archiver", "2", nil},

		{"parallel_jobs", "4", 4},
		{"parallel_jobs", " +4 ", 4},
		{"parallel_jobs", "-3", -3},
		{"parallel_jobs", "1_000", 1000},
		{"parallel_jobs", "1__0", nil},
		{"parallel_jobs", "_1", nil},
		{"parallel_jobs", "1_", nil},
		{"parallel_jobs", "4.0", nil},
		{"parallel_jobs", "", nil},
		{"parallel_jobs", "0x10", nil},
		{"parallel_jobs", "99999999999999999999", nil},
		{"minimum_redundancy", "0", 0},
		{"minimum_redundancy", "-1", nil},

		{"last_backup_maximum_age", "7 DAYS", 7 * 24 * time.Hour},
		{"last_backup_maximum_age", "1 day", 24 * time.Hour},
		{"last_backup_maximum_age", " 2  Weeks ", 14 * 24 * time.Hour},
		{"last_backup_maximum_age", "1 month", 31 * 24 * time.Hour},
		{"last_backup_maximum_age", "12 hour", 12 * time.Hour},
		{"last_backup_maximum_age", "7days", nil},
		{"last_backup_maximum_age", "5 minutes", nil},
		{"last_backup_maximum_age", "1 year", nil},
		{"last_backup_maximum_age", "-1 day", nil},
		{"last_backup_maximum_age", "9999999999999 months", nil},

		{"last_backup_minimum_size", "0", int64(0)},
		{"last_backup_minimum_size", "10", int64(10)},
		{"last_backup_minimum_size", "2k", int64(2000)},
		{"last_backup_minimum_size", "2 Ki", int64(2048)},
		{"last_backup_minimum_size", "3M", int64(3e6)},
		{"last_backup_minimum_size", "3Mi", int64(3 << 20)},
		{"last_backup_minimum_size", "4G", int64(4e9)},
		{"last_backup_minimum_size", "4Gi", int64(4 << 30)},
		{"last_backup_minimum_size", "5T", int64(5e12)},
		{"last_backup_minimum_size", "5Ti", int64(5 << 40)},
		{"last_backup_minimum_size", "2K", nil},
		{"last_backup_minimum_size", "2GB", nil},
		{"last_backup_minimum_size", "2gi", nil},
		{"last_backup_minimum_size", " 2k", nil},
		{"last_backup_minimum_size", "-2", nil},
		{"last_backup_minimum_size", "9999999Ti", nil},

		{"backup_options", "concurrent_backup", Set{"concurrent_backup"}},
		{"backup_options", " External_Configuration , CONCURRENT_BACKUP,concurrent_backup", Set{"concurrent_backup", "external_configuration"}},
		{"backup_options", "concurrent_backup,exclusive_backup", nil},
		{"backup_options", "concurrent_backup,", nil},
		{"backup_options", "foo", nil},
		{"recovery_options", "get-wal,delta-restore", Set{"delta-restore", "get-wal"}},

		{"retention_policy", "redundancy 2", "REDUNDANCY 2"},
		{"retention_policy", "  REDUNDANCY\t007 ", "REDUNDANCY 7"},
		{"retention_policy", "Recovery  Window of 7 day", "RECOVERY WINDOW OF 7 DAYS"},
		{"retention_policy", "RECOVERY WINDOW OF 4 WEEKS", "RECOVERY WINDOW OF 4 WEEKS"},
		{"retention_policy", "RECOVERY WINDOW OF 0 MONTHS", "RECOVERY WINDOW OF 0 MONTHS"},
		{"retention_policy", "REDUNDANCY -1", nil},
		{"retention_policy", "REDUNDANCY", nil},
		{"retention_policy", "7 DAYS", nil},
		{"retention_policy", "RECOVERY WINDOW OF 7 HOURS", nil},
		{"retention_policy", "REDUNDANCY 99999999999", nil},

		{"compression_level", "LOW", CompressionLevel{Name: "low"}},
		{"compression_level", "medium", CompressionLevel{Name: "medium"}},
		{"compression_level", "high", CompressionLevel{Name: "high"}},
		{"compression_level", "-7", CompressionLevel{Number: -7}},
		{"compression_level", "highest", nil},
		{"compression_level", "1.5", nil},

		{"tablespace_bandwidth_limit", "archive:4000, hot:8000", map[string]int{"archive": 4000, "hot": 8000}},
		{"tablespace_bandwidth_limit", "archive:4000 hot:8000", map[string]int{"archive": 4000, "hot": 8000}},
		{"tablespace_bandwidth_limit", "archive:4000,hot:8000,", map[string]int{"archive": 4000, "hot": 8000}},
		{"tablespace_bandwidth_limit", "archive", nil},
		{"tablespace_bandwidth_limit", ":5", nil},

		{"backup_method", "Local-RSYNC", "local-rsync"},
		{"backup_method", "zfs", "zfs"},
		{"backup_method", "", nil},
		{"backup_method", "../evil", nil},
		{"compression", "GZIP", "gzip"},
		{"compression", "a b", nil},
		{"reuse_backup", "LINK", "link"},
		{"reuse_backup", "yes", nil},
		{"staging_location", "local", "local"},
		{"staging_location", "LOCAL", nil},
		{"wal_retention_policy", "main", "main"},
		{"wal_retention_policy", "MAIN", nil},
		{"combine_mode", "Copy-File-Range", "copy-file-range"},
		{"encryption", "GPG", "gpg"},
		{"encryption", "aes", nil},

		{"slot_name", "Barman_1", "barman_1"},
		{"slot_name", "a-b", nil},
		{"slot_name", "", nil},
		{"staging_path", "/tmp/x", "/tmp/x"},
		{"staging_path", "tmp", nil},
		{"staging_path", "~/x", nil},
		{"path_prefix", "/a:/b", []string{"/a", "/b"}},
		{"path_prefix", "/a::/b:", []string{"/a", "/b"}},
		{"path_prefix", "/a:b", nil},
		{"snapshot_disks", "a, b", []string{"a", " b"}},
		{"snapshot_disks", "a,,b", nil},
		{"snapshot_disks", "", nil},
		{"custom_compression_magic", "0x28b52ffd", "0x28b52ffd"},
		{"custom_compression_magic", "28b52ffd", nil},
		{"custom_compression_magic", "0x28b52ff", nil},
		{"custom_compression_magic", "0x", nil},
		{"log_level", "debug", "DEBUG"},
		{"log_level", "15", "15"},
		{"log_level", "loud", nil},
	} {
		o, ok := Lookup(c.option)
		if !ok {
			t.Fatalf("no option %s", c.option)
		}
		got, err := o.Parse(c.text)
		if c.want == nil {
			if err == nil {
				t.Errorf("%s = %q: accepted as %v, want an error", c.option, c.text, got)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s = %q: %v", c.option, c.text, err)
			continue
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s = %q (-want +got)\n%s", c.option, c.text, diff)
		}
	}
}

func TestBandwidthRulesThatCannotBeReadAreLeftOut(t *testing.T) {
	o, _ := Lookup("tablespace_bandwidth_limit")
	got, err := o.Parse("a:1 b c:x d:2")
	if err == nil {
		t.Error("no error about b and c:x")
	}
	if diff := cmp.Diff(map[string]int{"a": 1, "d": 2}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestPythonText(t *testing.T) {
	for _, c := range []struct {
		option string
		value  any
		text   string
		json   any
	}{
		{"compression", nil, "None", nil},
		{"archiver", true, "True", true},
		{"parallel_jobs", 3, "3", 3},
		{"last_backup_maximum_age", 7 * 24 * time.Hour, "7 days, 0:00:00", "7 days, 0:00:00"},
		{"last_wal_maximum_age", 3 * time.Hour, "3:00:00", "3:00:00"},
		{"last_wal_maximum_age", 25 * time.Hour, "1 day, 1:00:00", "1 day, 1:00:00"},
		{"last_backup_minimum_size", int64(1 << 30), "1073741824", int64(1 << 30)},
		{"backup_options", Set{"concurrent_backup"}, "BackupOptions({'concurrent_backup'})", "BackupOptions({'concurrent_backup'})"},
		{"recovery_options", Set{}, "RecoveryOptions()", "RecoveryOptions()"},
		{"tablespace_bandwidth_limit", map[string]int{"b": 20, "a": 10}, "{'a': 10, 'b': 20}", map[string]int{"b": 20, "a": 10}},
		{"snapshot_disks", []string{"a", "b'c"}, `['a', "b'c"]`, []string{"a", "b'c"}},
		{"path_prefix", []string{"/a", "/b"}, "/a:/b", "/a:/b"},
		{"wal_retention_policy", "main", "MAIN", "MAIN"},
		{"compression_level", CompressionLevel{Name: "low"}, "low", "low"},
		{"compression_level", CompressionLevel{Number: -3}, "-3", -3},
	} {
		o, _ := Lookup(c.option)
		v := Value{Option: o, Go: c.value}
		if got := v.Text(); got != c.text {
			t.Errorf("%s: text %q, want %q", c.option, got, c.text)
		}
		if diff := cmp.Diff(c.json, v.JSON()); diff != "" {
			t.Errorf("%s: JSON (-want +got)\n%s", c.option, diff)
		}
	}
}
