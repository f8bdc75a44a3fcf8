package catalog

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/barman-go/barman/core/wal"
)

var ignoreSource = cmpopts.IgnoreUnexported(BackupInfo{}, CopyStats{})

func decode(t testing.TB, text string) *BackupInfo {
	t.Helper()
	return must[*BackupInfo](t)(DecodeInfo("20260110T100000", []byte(text), time.UTC))
}

func encode(t testing.TB, b *BackupInfo) string {
	t.Helper()
	return string(must[[]byte](t)(EncodeInfo(b)))
}

func TestDecodeInfoReadsEveryKey(t *testing.T) {
	if diff := cmp.Diff(parsedFullInfo(), decode(t, fullInfo), ignoreSource); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEncodeInfoWritesWhatBarmanWrites(t *testing.T) {
	if diff := cmp.Diff(ourFullInfo, encode(t, parsedFullInfo())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestKeysAreWrittenInByteOrder(t *testing.T) {
	var keys []string
	for _, f := range infoFields {
		keys = append(keys, f.key)
	}
	if !slices.IsSorted(keys) || len(keys) != 35 {
		t.Errorf("%d keys, sorted %v: %v", len(keys), slices.IsSorted(keys), keys)
	}
}

func TestNewBackupHasEveryKeyButTheHiddenOnes(t *testing.T) {
	b := NewBackupInfo("20260110T100000", "main", ModeRsyncConcurrent)
	b.SystemID = "7000000000000000001"
	want := `backup_label=None
begin_offset=None
begin_time=None
begin_wal=None
begin_xlog=None
children_backup_ids=None
cluster_size=None
compression=None
config_file=None
copy_stats=None
data_checksums=None
deduplicated_size=None
end_offset=None
end_time=None
end_wal=None
end_xlog=None
error=None
hba_file=None
ident_file=None
included_files=None
mode=rsync-concurrent
parent_backup_id=None
pgdata=None
server_name=main
size=None
status=EMPTY
summarize_wal=None
systemid=7000000000000000001
tablespaces=None
timeline=None
version=None
xlog_segment_size=16777216
`
	if diff := cmp.Diff(want, encode(t, b)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCopyStatsOfSelfContainedBackups(t *testing.T) {
	b := NewBackupInfo("20260110T100000", "main", ModePostgres)
	b.CopyStats = CopyStats{CopyTime: 1.25, TotalTime: 1.25}
	if got := encode(t, b); !strings.Contains(got, "\ncopy_stats={'copy_time': 1.25, 'total_time': 1.25}\n") {
		t.Error(got)
	}
}

func TestUnchangedFilesAreRewrittenByteForByte(t *testing.T) {
	for name, text := range map[string]string{
		"every key":             fullInfo,
		"unknown keys":          strings.Replace(fullInfo, "begin_wal=", "begin_zeta={'x': 1}\nbegin_wal=", 1) + "zz_new=[1]\n",
		"comments and blanks":   "# written by hand\n\n" + fullInfo + "\n# end\n",
		"odd spellings":         "status = DONE\n size=  7 \nbegin_wal=00000001000000000000000a\nbegin_time=2026-01-10T10:00:00Z\n",
		"no final line break":   "status=DONE\nversion=160002",
		"carriage returns":      "status=DONE\r\nversion=160002\r\n",
		"old file, few keys":    "begin_time=2014-01-10 10:00:00\nmode=rsync\nstatus=FAILED\n",
		"keys twice":            "status=EMPTY\nstatus=DONE\n",
		"null segment size":     "status=DONE\nxlog_segment_size=None\n",
		"other float spellings": "copy_stats={'copy_time': 1e0, 'total_time': 01.50, 'new_stat': None}\nstatus=DONE\n",
		"empty list":            "included_files=[]\nstatus=DONE\ntablespaces=[]\n",
		"a hidden key is null":  "backup_name=None\nstatus=DONE\n",
		"what nobody writes":    "pgdata=/a\rb\nstatus=DONE\n",
		"snapshots":             "snapshots_info={'provider': 'aws', 'snapshots': [{'a': 1}]}\nstatus=DONE\n",
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(text, encode(t, decode(t, text))); diff != "" {
				t.Errorf("(-read +written):\n%s", diff)
			}
		})
	}
}

func TestOnlyChangedLinesAreRewritten(t *testing.T) {
	const text = "# kept\nbegin_wal=00000001000000000000000a\nbegin_zeta=1\nstatus=WAITING_FOR_WALS\nversion=160002"
	b := decode(t, text)
	b.Status = StatusDone
	b.Size = Int(7)
	b.Error = "x"
	b.BackupName = "n"
	b.SegmentSize = wal.MinSegmentSize
	want := "# kept\nbackup_name=n\nbegin_wal=00000001000000000000000a\nbegin_zeta=1\nerror=x\nsize=7\nstatus=DONE\nversion=160002\n" +
		"xlog_segment_size=1048576\n"
	if diff := cmp.Diff(want, encode(t, b)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	again := decode(t, want)
	if diff := cmp.Diff(b, again, ignoreSource); diff != "" {
		t.Errorf("reads back differently (-written +read):\n%s", diff)
	}
}

func TestHiddenKeysDisappearWhenTheyBecomeNull(t *testing.T) {
	b := decode(t, "backup_name=a\nbackup_name=b\nparent_backup_id=20260101T000000\nstatus=DONE\nstatus=FAILED\n")
	if b.BackupName != "b" || b.Status != StatusFailed {
		t.Fatalf("the last of two equal keys must win: %q, %s", b.BackupName, b.Status)
	}
	b.BackupName, b.ParentID = "", ""
	if got, want := encode(t, b), "parent_backup_id=None\nstatus=DONE\nstatus=FAILED\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDecodeInfoNamesLineAndKey(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "backup.info of backup 20260110T100000: it has no status; the file is empty or cut off",
		"begin_wal=None\n":                    "backup.info of backup 20260110T100000: it has no status; the file is empty or cut off",
		"status=DONE\nnonsense\n":             "backup.info of backup 20260110T100000, line 2: the line is neither key=value nor a comment",
		"status=DONE\n # no comment\n":        "backup.info of backup 20260110T100000, line 2: the line is neither key=value nor a comment",
		"status=RUNNING\n":                    `backup.info of backup 20260110T100000, line 1 (status): unknown status "RUNNING"`,
		"\nsize=big\nstatus=DONE\n":           `backup.info of backup 20260110T100000, line 2 (size): "big" is not a number`,
		"begin_time=soon\nstatus=DONE\n":      `backup.info of backup 20260110T100000, line 1 (begin_time): "soon" is not a date and time such as 2025-01-01 00:00:00.123456+01:00`,
		"tablespaces=[('a', 1)]\nstatus=DONE": "backup.info of backup 20260110T100000, line 1 (tablespaces): want tablespaces as tuples of a name, an oid and a location",
		"copy_stats=[1]\nstatus=DONE":         "backup.info of backup 20260110T100000, line 1 (copy_stats): want a dictionary, found []interface {}",
		"backup_label=START\nstatus=DONE":     "backup.info of backup 20260110T100000, line 1 (backup_label): not a Python literal: unexpected 'S' at byte 1",
	} {
		b, err := DecodeInfo("20260110T100000", []byte(text), time.UTC)
		var info *InfoError
		if !errors.As(err, &info) || err.Error() != want {
			t.Errorf("DecodeInfo(%q) = %v, %v; want %s", text, b, err, want)
		}
	}
}

func TestEncodeInfoRefusesWhatWouldReadBackDifferently(t *testing.T) {
	for _, text := range []string{"two\nlines", "None", " blank", "blank ", "a\r"} {
		b := NewBackupInfo("20260110T100000", "main", ModePostgres)
		b.Error = text
		if data, err := EncodeInfo(b); err == nil {
			t.Errorf("error=%q was written as %q", text, data)
		}
	}
}

func TestFailKeepsOneLine(t *testing.T) {
	b := NewBackupInfo("20260110T100000", "main", ModePostgres)
	if err := b.Fail("\n failure copying files (x)  \nDETAIL: more"); err != nil {
		t.Fatal(err)
	}
	if b.Status != StatusFailed || b.Error != "failure copying files (x)" {
		t.Errorf("%s, %q", b.Status, b.Error)
	}
}

func TestStatusTransitions(t *testing.T) {
	allowed := map[Status][]Status{
		StatusEmpty:          {StatusStarted, StatusFailed, StatusSyncing},
		StatusStarted:        {StatusWaitingForWALs, StatusFailed, StatusSyncing},
		StatusWaitingForWALs: {StatusDone, StatusFailed, StatusSyncing},
		StatusDone:           {StatusWaitingForWALs, StatusFailed},
		StatusSyncing:        {StatusDone, StatusWaitingForWALs, StatusFailed},
		StatusFailed:         {StatusSyncing},
	}
	for from := range allowed {
		for to := range allowed {
			want := from == to || slices.Contains(allowed[from], to)
			b := &BackupInfo{Status: from}
			err := b.SetStatus(to)
			var transition *TransitionError
			if want != (err == nil) || (err != nil && !errors.As(err, &transition)) {
				t.Errorf("%s to %s: %v, want allowed %v", from, to, err, want)
			}
		}
	}
	if Status("").Valid() || Status("").CanBecome(StatusDone) || !Status("").CanBecome(StatusEmpty) {
		t.Error("a backup without a file can only become EMPTY or SYNCING")
	}
}

func TestParseTimeIsTolerant(t *testing.T) {
	rome := must[*time.Location](t)(time.LoadLocation("Europe/Rome"))
	for text, want := range map[string]string{
		"2025-01-01 00:00:00.123456+01:00": "2025-01-01 00:00:00.123456+01:00",
		"2025-01-01 00:05:00+00:00":        "2025-01-01 00:05:00+00:00",
		"2025-01-01 00:05:00-03:30":        "2025-01-01 00:05:00-03:30",
		"2025-01-01 00:05:00+00:53:28":     "2025-01-01 00:05:00+00:53:28",
		"2025-01-01T00:05:00Z":             "2025-01-01 00:05:00+00:00",
		"2025-01-01 00:05:00+0100":         "2025-01-01 00:05:00+01:00",
		"2025-01-01 00:05:00 -08":          "2025-01-01 00:05:00-08:00",
		"2025-01-01 00:05:00.5":            "2025-01-01 00:05:00.500000+01:00",
		"2025-07-01 00:05:00":              "2025-07-01 00:05:00+02:00",
		"2025-01-01 00:05":                 "2025-01-01 00:05:00+01:00",
		"20250101T000500":                  "2025-01-01 00:05:00+01:00",
		"Fri Jan  9 10:05:00 2026":         "2026-01-09 10:05:00+01:00",
		"2025-01-01 00:05:00 UTC":          "2025-01-01 00:05:00+00:00",
		"2025-01-01 00:00:00.123456789+00": "2025-01-01 00:00:00.123456+00:00",
	} {
		got, err := ParseTime(text, rome)
		if err != nil || FormatTime(got) != want {
			t.Errorf("ParseTime(%q) = %s, %v; want %s", text, FormatTime(got), err, want)
		}
	}
	for _, text := range []string{"", "now", "2025-13-01 00:00:00", "2025-01-01", "2025-01-01 00:00:00+99:00"} {
		if got, err := ParseTime(text, rome); err == nil {
			t.Errorf("ParseTime(%q) = %v", text, got)
		}
	}
}

func TestDerivedValues(t *testing.T) {
	for _, c := range []struct {
		mode   Mode
		parent string
		want   Type
		full   bool
	}{
		{ModeRsyncConcurrent, "", TypeRsync, true},
		{ModePostgres, "", TypeFull, true},
		{ModePostgres, "20260101T000000", TypeIncremental, false},
		{ModeSnapshotConcurrent, "", TypeSnapshot, false},
		{ModePassive, "", TypeFull, true},
		{"", "", TypeFull, true},
	} {
		b := &BackupInfo{Mode: c.mode, ParentID: c.parent}
		if b.Type() != c.want || b.IsFull() != c.full || b.IsIncremental() != (c.want == TypeIncremental) {
			t.Errorf("mode %q, parent %q: type %s, full %v", c.mode, c.parent, b.Type(), b.IsFull())
		}
	}
	b := &BackupInfo{Mode: ModeRsyncConcurrent, Size: Int(100), DeduplicatedSize: Int(25), ClusterSize: Int(50)}
	if got := b.DeduplicationRatio(); got != 0.75 {
		t.Errorf("rsync ratio %v", got)
	}
	b.Mode = ModePostgres
	if got := b.DeduplicationRatio(); got != 0.5 {
		t.Errorf("postgres ratio %v", got)
	}
	b.DeduplicatedSize = OptInt{}
	if got := b.DeduplicationRatio(); got != 0 {
		t.Errorf("unknown ratio %v", got)
	}
	if got := (&BackupInfo{Version: 90624}).WALDirectory(); got != "pg_xlog" {
		t.Error(got)
	}
	if got := (&BackupInfo{Version: 100000}).WALDirectory(); got != "pg_wal" {
		t.Error(got)
	}
}

func TestRequiredWALs(t *testing.T) {
	b := usable("20260110T100000", 0xfe, 0xff)
	b.EndWAL = wal.Segment{Timeline: 1, Log: 1, Seg: 1}
	var names []string
	for _, s := range must[[]wal.Segment](t)(b.RequiredWALs()) {
		names = append(names, s.String())
	}
	want := []string{
		"0000000100000000000000FE", "0000000100000000000000FF", "000000010000000100000000", "000000010000000100000001",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	for name, change := range map[string]func(*BackupInfo){
		"not ended":         func(b *BackupInfo) { b.EndWAL = wal.Segment{} },
		"another timeline":  func(b *BackupInfo) { b.EndWAL.Timeline = 2 },
		"ends before":       func(b *BackupInfo) { b.BeginWAL.Log = 7 },
		"bad segment size ": func(b *BackupInfo) { b.SegmentSize = 3 },
	} {
		broken := *b
		change(&broken)
		if got, err := broken.RequiredWALs(); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func FuzzDecodeInfo(f *testing.F) {
	f.Add(fullInfo)
	f.Add("# c\n\nstatus=DONE\nunknown=1\nstatus=EMPTY")
	f.Add("status=DONE\nsnapshots_info={'a': [1, (2,)]}\nchildren_backup_ids=a,,b\nincluded_files=('x',)\n")
	f.Fuzz(func(t *testing.T, text string) {
		b, err := DecodeInfo("20260110T100000", []byte(text), time.UTC)
		if err != nil {
			return
		}
		data, err := EncodeInfo(b)
		if err != nil {
			t.Fatalf("%q cannot be rewritten: %v", text, err)
		}
		if string(data) != text {
			t.Fatalf("%q was rewritten as %q", text, data)
		}
		b.Size = OptInt{N: b.Size.N + 1, Valid: true}
		b.Status = StatusFailed
		if data, err = EncodeInfo(b); err != nil {
			t.Fatalf("%q cannot be changed: %v", text, err)
		}
		again, err := DecodeInfo("20260110T100000", data, time.UTC)
		if err != nil {
			t.Fatalf("%q, changed to %q: %v", text, data, err)
		}
		if diff := cmp.Diff(b, again, ignoreSource, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%q, changed to %q, reads back differently (-want +got):\n%s", text, data, diff)
		}
	})
}
