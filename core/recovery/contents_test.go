package recovery

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/barman-go/barman/core/catalog"
)

const manifestText = `{ "PostgreSQL-Backup-Manifest-Version": 1,
"Files": [
{ "Path": "backup_label", "Size": 224, "Last-Modified": "2026-01-10 10:00:00 GMT", "Checksum-Algorithm": "CRC32C", "Checksum": "9b1e5b3c" },
{ "Path": "tablespace_map", "Size": 30, "Last-Modified": "2026-01-10 10:00:00 GMT" },
{ "Path": "log/postgresql.log", "Size": 1000000, "Last-Modified": "2026-01-10 10:00:00 GMT" },
{ "Path": "global/pg_control", "Size": 8192, "Last-Modified": "2026-01-10 10:00:00 GMT" },
{ "Encoded-Path": "626173652f312fff", "Size": 100, "Last-Modified": "2026-01-10 10:00:00 GMT" },
{ "Path": "pg_tblspc/16384/PG_15_202209061/5/1", "Size": 70, "Last-Modified": "2026-01-10 10:00:00 GMT" },
{ "Path": "pg_tblspc/16384/PG_15_202209061/5/2", "Size": 7, "Last-Modified": "2026-01-10 10:00:00 GMT" }
],
"WAL-Ranges": [
{ "Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/2000100" }
],
"Manifest-Checksum": "00"}
`

func TestTheManifestTellsHowMuchArchivesHold(t *testing.T) {
	path := filepath.Join(t.TempDir(), manifestFile)
	if got, err := readContents(path); got != nil || err != nil {
		t.Errorf("no manifest: %v, %v", got, err)
	}
	if err := os.WriteFile(path, []byte(manifestText), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := readContents(path)
	want := contents{0: {bytes: 224 + 8192 + 100, files: 3}, 16384: {bytes: 77, files: 2}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	for _, text := range []string{"", "{}", manifestText[:400], `{"Files": [{"Encoded-Path": "zz"}]}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := readContents(path); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestSpaceForArchivesIsThatOfTheirContent(t *testing.T) {
	base, hot := Archive{Bytes: 10}, Archive{OID: 5, Bytes: 20}
	for name, tc := range map[string]struct {
		archives []Archive
		known    contents
		cluster  int64
		data     int64
		hot      int64
	}{
		"manifest":                        {[]Archive{base, hot}, contents{0: {bytes: 100}, 5: {bytes: 200}}, 7, 100, 200},
		"no manifest, one archive":        {[]Archive{base}, nil, 1000, 1000, 0},
		"no manifest, nobody knows whose": {[]Archive{base, hot}, nil, 1000, 10, 20},
		"nothing known":                   {[]Archive{base}, nil, 0, 10, 0},
	} {
		b := testBackup(1, 150004)
		b.ClusterSize = catalog.Int(tc.cluster)
		p := &Plan{Backup: b, Archives: tc.archives, contents: tc.known}
		data, spaces := p.measureArchives()
		if data != tc.data || len(spaces) != len(tc.archives)-1 || len(spaces) == 1 && spaces[0] != tc.hot {
			t.Errorf("%s: %d, %v", name, data, spaces)
		}
	}
}
