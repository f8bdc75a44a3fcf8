package plugin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/hook"
	hookv1 "github.com/barman-go/barman/sdk/pb/barman/hook/v1"
	pluginv1 "github.com/barman-go/barman/sdk/pb/barman/plugin/v1"
	transferv1 "github.com/barman-go/barman/sdk/pb/barman/transfer/v1"
	"github.com/barman-go/barman/sdk/progress"
	"github.com/barman-go/barman/sdk/schema"
	"github.com/barman-go/barman/sdk/transfer"
)

// scripted is a transfer plugin of both modes that records what it gets.
type scripted struct {
	got any
	err error
}

func (*scripted) Describe() transfer.Description {
	return transfer.Description{
		Mode: transfer.SelfContained, NeedsSSHCommand: true, SupportsReuse: true, SupportsBandwidthLimit: true,
		SupportsTablespaceBandwidthLimit: true, SupportsNetworkCompression: true, SupportsParallelJobs: true,
	}
}

func (s *scripted) Check(_ context.Context, r transfer.CheckRequest) ([]transfer.CheckRow, error) {
	s.got = r
	return []transfer.CheckRow{{Label: "a", OK: true, OnlyFailure: true}, {Label: "b", Hint: "do this"}}, s.err
}

var copyResult = transfer.CopyResult{
	Files: 1, Bytes: 2, FilesCopied: 3, BytesCopied: 4, Workers: 5, Analysis: time.Second, Copy: 1500 * time.Millisecond,
	Total: 2 * time.Second,
	Items: []transfer.ItemStats{{Label: "pgdata", Analysis: 1, Copy: 2 * time.Microsecond, SerializedCopy: time.Hour}},
}

func (s *scripted) Copy(_ context.Context, p transfer.Plan, rep progress.Reporter) (transfer.CopyResult, error) {
	s.got = p
	for i := range 1000 {
		rep.Progress(progress.Progress{BytesDone: int64(i + 1), BytesTotal: 1000, FilesDone: 1, FilesTotal: 2, Label: "x"})
	}
	return copyResult, s.err
}

func (s *scripted) ReadFile(_ context.Context, remote []string, path string, limit int64) (transfer.FileContent, error) {
	switch path {
	case "/missing":
		return transfer.FileContent{}, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	case "/big":
		return transfer.FileContent{Content: make([]byte, limit+1)}, nil
	case "/broken":
		return transfer.FileContent{}, errors.New("broken")
	}
	return transfer.FileContent{Content: []byte(fmt.Sprintf("%v %s %d", remote, path, limit)), Mode: 0o640}, nil
}

func (s *scripted) ApplyFiles(_ context.Context, _ []string, changes []transfer.FileChange) (int, error) {
	s.got = changes
	return 1, s.err
}

var someInfo = transfer.PathInfo{
	Path: "/a", Exists: true, Type: "directory", Size: 7, Modified: time.Unix(1700000000, 5).UTC(), HasEntries: true,
	FreeBytes: 8, Writable: true,
}

func (s *scripted) Stat(_ context.Context, _ []string, paths []string) ([]transfer.PathInfo, error) {
	return []transfer.PathInfo{someInfo, {Path: "/b"}}, s.err
}

func (s *scripted) TakeBackup(
	_ context.Context, r transfer.TakeBackupRequest, rep transfer.BackupReporter,
) (transfer.TakeBackupResult, error) {
	s.got = r
	rep.Progress(progress.Progress{BytesDone: 1})
	rep.WaitingForWAL()
	return transfer.TakeBackupResult{BackupLabel: "l", EndLSN: "0/1", Copy: time.Minute}, s.err
}

func (s *scripted) RestoreBackup(
	_ context.Context, r transfer.RestoreBackupRequest, _ progress.Reporter,
) (transfer.RestoreBackupResult, error) {
	s.got = r
	return transfer.RestoreBackupResult{Files: 1, Bytes: 2}, s.err
}

// plain is a transfer plugin of no mode at all.
type plain struct{ transfer.Transfer }

func newTransfer(t *testing.T, object transfer.Transfer) *transfer.Client {
	t.Helper()
	conn := dial(t, Definition{Transfer: func(context.Context, Env) (transfer.Transfer, error) { return object, nil }})
	return transfer.NewClient(conn, openOn(t, conn, nil))
}

// reports collects what a client reports.
type reports struct {
	progress []progress.Progress
	waiting  int
}

func (r *reports) Progress(p progress.Progress) { r.progress = append(r.progress, p) }
func (r *reports) WaitingForWAL()               { r.waiting++ }

// Whatever core sends must reach the author unchanged, and back: a field that a conversion forgets shows here.
func TestTransferRequestsAndResultsCrossTheWire(t *testing.T) {
	s := &scripted{}
	c := newTransfer(t, s)
	ctx := t.Context()
	three := 3
	tablespaces := []transfer.Tablespace{{OID: 4_000_000_000, Name: "n", Location: "/l", Destination: "/d"}}
	plan := transfer.Plan{
		Op: "op", Direction: transfer.Put, Workers: 4, Remote: []string{"ssh", "h"}, NetworkCompression: true,
		BandwidthLimit: 5, Retry: transfer.Retry{Times: 2, Sleep: 30 * time.Second}, StartBatchSize: 6,
		StartBatchPeriod: 7 * time.Second,
		Items: []transfer.Item{{
			Label: "l", Kind: transfer.File, Source: "/s", Destination: "/d", Exclude: []string{"/e"}, Include: []string{"/i"},
			ExcludeAndProtect: []string{"/p"}, Reuse: transfer.ReuseCopy, ReuseDirectory: "/r", BandwidthLimit: 8,
			SafeHorizon: time.Unix(1700000000, 9).UTC(), Optional: true, Phase: 2, DeleteExtra: true,
		}, {Label: "bare"}},
	}
	take := transfer.TakeBackupRequest{
		Op: "op", BackupID: "b", Destination: "/d", Tablespaces: tablespaces, Conninfo: "host=x", Password: "p",
		ServerVersion: 150004, ImmediateCheckpoint: true, BandwidthLimit: 9, IncrementalManifest: "/m",
		Compression: &transfer.Compression{Algorithm: "gzip", Format: "tar", Level: &three, Location: "client"},
		Retry:       transfer.Retry{Times: 1, Sleep: time.Second},
	}
	restore := transfer.RestoreBackupRequest{
		Op: "op", BackupID: "b", Source: "/s", Destination: "/d", Tablespaces: tablespaces, Remote: []string{"ssh"}, Workers: 2,
	}
	check := transfer.CheckRequest{
		Remote: []string{"ssh"}, Conninfo: "c", Password: "p", ServerVersion: 130000,
		Compression: &transfer.Compression{Algorithm: "zstd", Format: "plain", Workers: &three, Location: "server"},
	}
	changes := []transfer.FileChange{
		{Path: "/w", Action: transfer.Write, Content: []byte("x"), Mode: 0o640}, {Path: "/r", Action: transfer.Rename, Target: "/t"},
	}
	rep := &reports{}
	for _, x := range []struct {
		name string
		call func() (any, error)
		sent any
		want any
	}{
		{"Describe", func() (any, error) { return c.Describe(ctx) }, nil, s.Describe()},
		{
			"Check", func() (any, error) { return c.Check(ctx, check) }, check,
			[]transfer.CheckRow{{Label: "a", OK: true, OnlyFailure: true}, {Label: "b", Hint: "do this"}},
		},
		{"Copy", func() (any, error) { return c.Copy(ctx, plan, rep) }, plan, copyResult},
		{
			"ReadFile", func() (any, error) { return c.ReadFile(ctx, []string{"ssh"}, "/x", 99) }, nil,
			transfer.FileContent{Content: []byte("[ssh] /x 99"), Mode: 0o640},
		},
		{"ApplyFiles", func() (any, error) { return c.ApplyFiles(ctx, nil, changes) }, changes, 1},
		{
			"Stat", func() (any, error) { return c.Stat(ctx, nil, []string{"/a", "/b"}) }, nil,
			[]transfer.PathInfo{someInfo, {Path: "/b"}},
		},
		{
			"TakeBackup", func() (any, error) { return c.TakeBackup(ctx, take, rep) }, take,
			transfer.TakeBackupResult{BackupLabel: "l", EndLSN: "0/1", Copy: time.Minute},
		},
		{
			"RestoreBackup", func() (any, error) { return c.RestoreBackup(ctx, restore, rep) }, restore,
			transfer.RestoreBackupResult{Files: 1, Bytes: 2},
		},
	} {
		s.got = nil
		got, err := x.call()
		if err != nil {
			t.Errorf("%s: %v", x.name, err)
		}
		if d := cmp.Diff(x.sent, s.got); d != "" {
			t.Errorf("%s arrived changed: %s", x.name, d)
		}
		if d := cmp.Diff(x.want, got); d != "" {
			t.Errorf("%s came back changed: %s", x.name, d)
		}
	}
	if rep.waiting != 1 {
		t.Errorf("asked for a WAL switch %d times", rep.waiting)
	}
}

func TestProgressIsThinnedOutAndItsEndIsKept(t *testing.T) {
	rep := &reports{}
	if _, err := newTransfer(t, &scripted{}).Copy(t.Context(), transfer.Plan{}, rep); err != nil {
		t.Fatal(err)
	}
	if n := len(rep.progress); n == 0 || n > 100 {
		t.Fatalf("%d of 1000 reports arrived", n)
	}
	want := progress.Progress{BytesDone: 1000, BytesTotal: 1000, FilesDone: 1, FilesTotal: 2, Label: "x"}
	if d := cmp.Diff(want, rep.progress[len(rep.progress)-1]); d != "" {
		t.Error(d)
	}
}

func TestHeartbeatIsSentWhenNothingElseIs(t *testing.T) {
	beats := make(chan struct{}, 1)
	e := startEventsAt(func(ev *pluginv1.Event) error {
		if ev.GetHeartbeat() != nil {
			select {
			case beats <- struct{}{}:
			default:
			}
		}
		return nil
	}, time.Millisecond, 5*time.Millisecond)
	<-beats
	<-beats
	e.stop()
}

func TestTransferFailuresCrossTheWire(t *testing.T) {
	why := diag.Diagnostic{
		Severity: diag.Error, Summary: "rsync failed", Detail: "code 12\nsee above", Code: diag.CodeNoSpace, Attribute: "a",
		Retryable: true,
	}
	c := newTransfer(t, &scripted{err: fmt.Errorf("pgdata: %w", why)})
	want := why
	want.Summary = "pgdata: rsync failed"
	ctx := t.Context()
	rep := &reports{}
	for name, call := range map[string]func() error{
		"Check":         func() error { _, err := c.Check(ctx, transfer.CheckRequest{}); return err },
		"Copy":          func() error { _, err := c.Copy(ctx, transfer.Plan{}, rep); return err },
		"ApplyFiles":    func() error { _, err := c.ApplyFiles(ctx, nil, nil); return err },
		"Stat":          func() error { _, err := c.Stat(ctx, nil, []string{"/a", "/b"}); return err },
		"TakeBackup":    func() error { _, err := c.TakeBackup(ctx, transfer.TakeBackupRequest{}, rep); return err },
		"RestoreBackup": func() error { _, err := c.RestoreBackup(ctx, transfer.RestoreBackupRequest{}, rep); return err },
	} {
		var got diag.Diagnostic
		if err := call(); !errors.As(err, &got) {
			t.Errorf("%s: %v", name, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	if done, _ := c.ApplyFiles(ctx, nil, nil); done != 1 {
		t.Errorf("ApplyFiles did %d changes before it failed, want 1", done)
	}
}

func TestReadFileErrors(t *testing.T) {
	c := newTransfer(t, &scripted{})
	if _, err := c.ReadFile(t.Context(), nil, "/missing", 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	for _, path := range []string{"/big", "/broken"} {
		if _, err := c.ReadFile(t.Context(), nil, path, 0); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestCallsOfAnotherModeAreRefused(t *testing.T) {
	c := newTransfer(t, plain{&scripted{}})
	_, err := c.Copy(t.Context(), transfer.Plan{}, nil)
	var d diag.Diagnostic
	if !errors.As(err, &d) || d.Code != diag.CodeProtocol || d.Detail != "this plugin does not copy files" {
		t.Errorf("got %v", err)
	}
}

// The conversions turn constants of the SDK into enums of the proto by their number.
func TestConstantsMatchTheWire(t *testing.T) {
	type number interface {
		Number() protoreflect.EnumNumber
	}
	for _, c := range []struct {
		sdk  int
		wire number
	}{
		{int(schema.String), pluginv1.Attribute_TYPE_STRING},
		{int(schema.Integer), pluginv1.Attribute_TYPE_INTEGER},
		{int(schema.Number), pluginv1.Attribute_TYPE_NUMBER},
		{int(schema.Bool), pluginv1.Attribute_TYPE_BOOLEAN},
		{int(schema.StringList), pluginv1.Attribute_TYPE_STRING_LIST},
		{int(schema.StringMap), pluginv1.Attribute_TYPE_STRING_MAP},
		{int(transfer.FileCopy), transferv1.DescribeResponse_MODE_FILE_COPY},
		{int(transfer.SelfContained), transferv1.DescribeResponse_MODE_SELF_CONTAINED},
		{int(transfer.Fetch), transferv1.CopyRequest_DIRECTION_FETCH},
		{int(transfer.Put), transferv1.CopyRequest_DIRECTION_PUT},
		{int(transfer.Local), transferv1.CopyRequest_DIRECTION_LOCAL},
		{int(transfer.Directory), transferv1.Item_KIND_DIRECTORY},
		{int(transfer.File), transferv1.Item_KIND_FILE},
		{int(transfer.ReuseOff), transferv1.Item_REUSE_OFF},
		{int(transfer.ReuseLink), transferv1.Item_REUSE_LINK},
		{int(transfer.ReuseCopy), transferv1.Item_REUSE_COPY},
		{int(transfer.Write), transferv1.FileChange_ACTION_WRITE},
		{int(transfer.Mkdir), transferv1.FileChange_ACTION_MKDIR},
		{int(transfer.Symlink), transferv1.FileChange_ACTION_SYMLINK},
		{int(transfer.Remove), transferv1.FileChange_ACTION_REMOVE},
		{int(transfer.Rename), transferv1.FileChange_ACTION_RENAME},
		{int(transfer.Sync), transferv1.FileChange_ACTION_SYNC},
		{int(hook.Success), hookv1.Result_OUTCOME_SUCCESS},
		{int(hook.Failure), hookv1.Result_OUTCOME_FAILURE},
		{int(hook.AbortContinue), hookv1.Result_OUTCOME_ABORT_CONTINUE},
		{int(hook.AbortStop), hookv1.Result_OUTCOME_ABORT_STOP},
	} {
		if c.sdk != int(c.wire.Number()) {
			t.Errorf("%v is %d on the wire and %d in the SDK", c.wire, c.wire.Number(), c.sdk)
		}
	}
}
