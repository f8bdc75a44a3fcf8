package passive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/report"
)

const (
	oneID    = "20250101T000000"
	oneBegin = "000000010000000000000002"
)

// oneInfo is the backup.info of the backup in testdata/answer.json.
const oneInfo = `backup_label='START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\nLABEL: x\n'
begin_offset=40
begin_time=2025-01-01 00:00:00+00:00
begin_wal=000000010000000000000002
begin_xlog=0/2000028
children_backup_ids=20250102T000000,20250103T000000
cluster_size=12345
compression=None
config_file=/pg/postgresql.conf
copy_stats={'copy_time': 1.5, 'total_time': 2.0}
data_checksums=on
deduplicated_size=900
encryption=None
end_offset=80
end_time=2025-01-01 00:05:00+00:00
end_wal=000000010000000000000003
end_xlog=0/3000050
error=None
hba_file=None
ident_file=None
included_files=['/etc/a.conf']
mode=postgres
parent_backup_id=None
pgdata=/pg
server_name=main
size=1000
status=DONE
summarize_wal=on
systemid=7000
tablespaces=[('tbs1', 16387, '/srv/tbs1')]
timeline=1
version=170002
xlog_segment_size=16777216
`

// newPrimary is the catalog of a primary with one backup and an index.
func newPrimary(t *testing.T, lines ...string) *Describer {
	t.Helper()
	layout := catalog.DefaultLayout(t.TempDir(), "main")
	for _, dir := range append(layout.Directories(), layout.Meta()) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, layout.WALIndexPath(), strings.Join(lines, ""))
	return &Describer{Catalog: catalog.New(layout), Index: newIndex(layout), Version: "3.17.0", Config: report.Object{{Name: "name", Value: "main"}}}
}

func newIndex(layout catalog.Layout) *catalog.WALIndex {
	unlocked := func(context.Context) (func() error, error) { return func() error { return nil }, nil }
	return catalog.NewWALIndex(layout, unlocked, catalog.IdentifyFormat)
}

func (d *Describer) layout() catalog.Layout { return d.Catalog.Layout }

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func line(name string) string { return name + "\t65603\t1735725600.5\tgzip\tNone\n" }

func (d *Describer) answer(t *testing.T, known catalog.WALMark) string {
	t.Helper()
	var b strings.Builder
	if err := d.Write(t.Context(), &b, known); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestAnswerIsBarmans compares an answer with that of Barman 3.17, byte for byte.
func TestAnswerIsBarmans(t *testing.T) {
	d := newPrimary(t, line("000000010000000000000001"), line("000000010000000000000002"), "00000002.history\t42\t1735725600.5\tNone\tNone\n")
	write(t, d.layout().InfoPath(oneID), oneInfo)
	d.Config = report.Object{{Name: "active", Value: true}, {Name: "primary_ssh_command", Value: nil}, {Name: "name", Value: "main"}}
	want, err := os.ReadFile("testdata/answer.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), d.answer(t, catalog.WALMark{})); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
}

func TestAnswerOfAnEmptyServer(t *testing.T) {
	want := `{
    "last_position": 0,
    "last_name": "",
    "backups": {},
    "wals": [],
    "version": "3.17.0",
    "config": {
        "name": "main"
    }
}`
	if diff := cmp.Diff(want, newPrimary(t).answer(t, catalog.WALMark{})); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
}

// TestWhichWALFilesAreListed has the rules of Barman's selection, which goes by the text of the names.
func TestWhichWALFilesAreListed(t *testing.T) {
	seg := func(n int) string { return fmt.Sprintf("00000001000000000000000%d", n) }
	index := []string{seg(1), seg(2), seg(4), seg(3), seg(5)}
	at := func(n int) int64 { return int64(n * len(line(seg(1)))) }
	for _, test := range []struct {
		name      string
		index     []string
		hasBackup bool
		known     catalog.WALMark
		want      []string
		err       string
	}{
		{name: "all", index: index, want: index},
		{name: "from the first backup on", index: index, hasBackup: true, want: []string{seg(2), seg(4), seg(3), seg(5)}},
		{name: "behind a mark", index: index, known: catalog.WALMark{Name: seg(3), Position: at(3)}, want: []string{seg(5)}},
		{name: "behind a name", index: index, known: catalog.WALMark{Name: seg(3)}, want: []string{seg(4), seg(5)}},
		{name: "behind a name at a wrong position", index: index, known: catalog.WALMark{Name: seg(3), Position: 17}, want: []string{seg(4), seg(5)}},
		{name: "a position behind the end", index: index, known: catalog.WALMark{Name: seg(3), Position: 1 << 40}, want: []string{seg(4), seg(5)}},
		{name: "nothing new", index: index, known: catalog.WALMark{Name: seg(5), Position: at(4)}},
		{name: "a mark before a late file", index: index, known: catalog.WALMark{Name: seg(4), Position: at(2)}, want: []string{seg(5)}},
		{name: "older", index: index[1:], known: catalog.WALMark{Name: seg(1)}, err: "last_wal '" + seg(1) + "' is older than the first available wal '" + seg(2) + "'"},
		{name: "newer", index: index, known: catalog.WALMark{Name: seg(6)}, err: "last_wal '" + seg(6) + "' is newer than the last available wal  '" + seg(5) + "'"},
		{name: "newer than nothing", known: catalog.WALMark{Name: seg(6)}, err: "last_wal '" + seg(6) + "' is newer than the last available wal  ''"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := newPrimary(t)
			text := ""
			for _, name := range test.index {
				text += line(name)
			}
			write(t, d.layout().WALIndexPath(), text)
			if test.hasBackup {
				write(t, d.layout().InfoPath(oneID), oneInfo)
			}
			var b strings.Builder
			err := d.Write(t.Context(), &b, test.known)
			if test.err != "" {
				if !errors.As(err, new(*OutOfSyncError)) || err.Error() != test.err {
					t.Errorf("error %v, want %s", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var doc struct{ WALs []struct{ Name string } }
			if err := json.Unmarshal([]byte(b.String()), &doc); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, w := range doc.WALs {
				got = append(got, w.Name)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("listed (-want +got):\n%s", diff)
			}
		})
	}
}

// TestBackupsComeThrough sends a backup.info through an answer and gets it back.
func TestBackupsComeThrough(t *testing.T) {
	d := newPrimary(t)
	write(t, d.layout().InfoPath(oneID), oneInfo)
	d.Config = directories
	doc, err := ReadDocument(strings.NewReader(d.answer(t, catalog.WALMark{})), nil)
	if err != nil {
		t.Fatal(err)
	}
	b := doc.Backup(oneID)
	if b == nil || b.Err != nil {
		t.Fatalf("backup %+v", b)
	}
	text, err := catalog.EncodeInfo(b.Info)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Replace(oneInfo, "encryption=None\n", "", 1), string(text)); diff != "" {
		t.Errorf("backup.info (-sent +received):\n%s", diff)
	}
}

// directories is what a node needs of the configuration.
var directories = report.Object{
	{Name: "basebackups_directory", Value: "/b/main/base"},
	{Name: "wals_directory", Value: "/b/main/wals"},
	{Name: "streaming_wals_directory", Value: "/b/main/streaming"},
	{Name: "compression", Value: "gzip"},
	{Name: "name", Value: "main"},
}
