package backup

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/report"
	"github.com/barman-go/barman/sdk/transfer"
)

func TestABackupThatCannotFitIsRefused(t *testing.T) {
	same := func(*catalog.BackupInfo) {}
	const huge = 1 << 60
	for name, tc := range map[string]struct {
		size     catalog.OptInt
		options  Options
		mode     transfer.Mode
		previous func(*catalog.BackupInfo)
		// says is in the error, or in the warning when may is true; empty for neither.
		says string
		may  bool
	}{
		"it fits":          {size: catalog.Int(1)},
		"size not known":   {},
		"too big":          {size: catalog.Int(huge), says: "the cluster's size is 1.0 EiB"},
		"nothing to share": {size: catalog.Int(huge), options: Options{Reuse: transfer.ReuseLink}, says: "not enough space"},
		"shared files":     {catalog.Int(huge), Options{Reuse: transfer.ReuseLink}, transfer.FileCopy, same, "shares files with backup 20260110T100000", true},
		"copied files":     {catalog.Int(huge), Options{Reuse: transfer.ReuseCopy}, transfer.FileCopy, same, "not enough space", false},
		"compressed": {
			catalog.Int(huge), Options{Compression: &transfer.Compression{Algorithm: "zstd"}}, transfer.SelfContained, nil, "it is compressed", true,
		},
		"an archive that is not compressed": {
			catalog.Int(huge), Options{Compression: &transfer.Compression{Algorithm: "none"}}, transfer.SelfContained, nil, "not enough space", false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := planned(t, tc.options, tc.previous)
			var warned bytes.Buffer
			s.Out = report.New(report.Options{Stdout: io.Discard, Stderr: &warned})
			s.Mode, s.info.ClusterSize = tc.mode, tc.size
			if space, err := fsx.SpaceOf(s.Catalog.Layout.Base); err != nil || space.Compresses {
				t.Skipf("the file system of the tests compresses (error %v)", err)
			}
			err := s.checkSpace()
			got := warned.String()
			if err != nil {
				got = err.Error()
			}
			if refused := tc.says != "" && !tc.may; (err != nil) != refused || !strings.Contains(got, tc.says) || tc.says == "" && got != "" {
				t.Errorf("error %v, warning %q; want %q", err, warned.String(), tc.says)
			}
		})
	}
}
