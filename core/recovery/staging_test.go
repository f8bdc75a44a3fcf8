package recovery

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/sdk/transfer"
)

func TestStagingIsRemovedAndWhatAKilledRestoreLeftToo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "made", "when missing")
	mine, err := newStaging(path)
	if err != nil {
		t.Fatal(err)
	}
	abandon := func(name string) string {
		dir := filepath.Join(path, name)
		if err := errors.Join(os.MkdirAll(filepath.Join(dir, "data"), 0o700), os.WriteFile(filepath.Join(dir, workLock), nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	abandoned := abandon(stagingName + "4711-x")
	kept := []string{abandon("somebody-elses")}
	second, err := newStaging(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(abandoned); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what a killed restore left: %v", err)
	}
	for _, dir := range append(kept, mine.data(), second.data()) {
		if _, err := os.Stat(dir); err != nil {
			t.Error(err)
		}
	}
	if info, err := os.Stat(mine.dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	if err := errors.Join(mine.remove(), second.remove()); err != nil {
		t.Error(err)
	}
	if left := listDir(t, path); len(left) != len(kept) {
		t.Errorf("left: %v", left)
	}
}

func TestStagingFollowsItsOptions(t *testing.T) {
	remote := []string{"ssh", "db2"}
	for name, tc := range map[string]struct {
		options Options
		way     Way
		path    string
		refuse  string
		warn    string
	}{
		"this host":                      {options: Options{StagingPath: "/w", StagingLocation: "remote"}, way: UnpackHere},
		"other host, default":            {options: Options{Remote: remote, StagingLocation: "local"}, way: UnpackStaged, path: "/tmp"},
		"other host, path":               {options: Options{Remote: remote, StagingPath: "/w/", StagingLocation: "local"}, way: UnpackStaged, path: "/w"},
		"there":                          {options: Options{Remote: remote, StagingLocation: "remote"}, way: UnpackThere, path: "/tmp"},
		"deprecated":                     {options: Options{Remote: remote, RecoveryStagingPath: "/old", StagingLocation: "remote"}, way: UnpackStaged, path: "/old", warn: "deprecated"},
		"deprecated, both kinds":         {options: Options{Remote: remote, RecoveryStagingPath: "/old", LocalStagingPath: "/l"}, way: UnpackStaged, path: "/old", warn: "deprecated"},
		"deprecated, replaced":           {options: Options{Remote: remote, RecoveryStagingPath: "/old", StagingPath: "/w"}, way: UnpackStaged, path: "/w"},
		"deprecated, for another kind":   {options: Options{LocalStagingPath: "/l"}, refuse: "only local_staging_path is set"},
		"delta here":                     {options: Options{Delta: true}, refuse: "Cannot restore a backup locally with delta mode when the backup is not plain."},
		"delta, unpacked there":          {options: Options{Delta: true, Remote: remote, StagingLocation: "remote"}, refuse: "Cannot restore a backup remotely with delta mode when 'staging_location=remote'."},
		"delta, staged":                  {options: Options{Delta: true, Remote: remote, StagingLocation: "local"}, way: UnpackStaged, path: "/tmp"},
		"relative staging path":          {options: Options{StagingPath: "w"}, refuse: "Cannot parse staging path"},
		"relative recovery staging path": {options: Options{RecoveryStagingPath: "w"}, refuse: "Cannot parse recovery staging path"},
	} {
		t.Run(name, func(t *testing.T) {
			b := testBackup(1, 150004)
			b.Compression = "zstd"
			b.Tablespaces = []catalog.Tablespace{{Name: "hot", OID: 16384, Location: "/srv/hot"}}
			o := tc.options
			o.Destination = "/srv/pg"
			err := checkOptions(&o, b)
			if tc.refuse != "" {
				if err == nil || !strings.Contains(err.Error(), tc.refuse) {
					t.Errorf("error %v, want %q", err, tc.refuse)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			p := &Plan{Backup: b, Destination: o.Destination, Tablespaces: []Tablespace{{Name: "hot", OID: 16384, Location: "/new"}}}
			p.planArchives(&o, catalog.DefaultLayout("/home", serverName))
			if p.Way != tc.way || p.StagingPath != tc.path {
				t.Errorf("way %d in %q, want %d in %q", p.Way, p.StagingPath, tc.way, tc.path)
			}
			dir := "/home/main/base/" + b.ID + "/data/"
			if len(p.Archives) != 2 || p.Archives[0].Path != dir+"base.tar.zst" || p.Archives[1].Path != dir+"16384.tar.zst" || p.Archives[1].Directory != "/new" {
				t.Errorf("archives %+v", p.Archives)
			}
			if got := strings.Join(p.Warnings, "\n"); (tc.warn == "") != (got == "") || !strings.Contains(got, tc.warn) {
				t.Errorf("warnings %q, want %q", got, tc.warn)
			}
		})
	}
}

func TestStagingPathThatCannotBeUsedIsRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		place transfer.PathInfo
		want  string
	}{
		"missing, can be made": {transfer.PathInfo{Writable: true}, ""},
		"fine":                 {transfer.PathInfo{Exists: true, Type: "directory", HasEntries: true, Writable: true}, ""},
		"file":                 {transfer.PathInfo{Exists: true, Type: "file", Writable: true}, "is not a directory"},
		"read-only":            {transfer.PathInfo{Exists: true, Type: "directory"}, "cannot be written"},
	} {
		p := &Plan{StagingPath: "/work"}
		p.checkStagingFound(Place{PathInfo: tc.place})
		checkTexts(t, name, p.Problems, tc.want)
	}
}

func TestArchivesThatAreNotThereOrCutAreRefused(t *testing.T) {
	whole := makeTar(t, member{name: "backup_label", content: "x"})
	for name, tc := range map[string]struct {
		compression string
		content     []byte
		want        string
	}{
		"missing":           {"none", nil, "base.tar does not exist"},
		"empty":             {"gzip", []byte{}, "the file is empty"},
		"whole":             {"none", whole, ""},
		"cut in a block":    {"none", whole[:len(whole)-100], "unexpected EOF"},
		"cut between files": {"none", whole[:len(whole)-2*tarBlock], "the end of the archive is missing"},
	} {
		dir := t.TempDir()
		b := testBackup(1, 150004)
		b.Compression = tc.compression
		layout := catalog.DefaultLayout(dir, serverName)
		p := &Plan{Backup: b, Destination: "/srv/pg"}
		p.planArchives(&Options{}, layout)
		if tc.content != nil {
			path := p.Archives[0].Path
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, tc.content, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		p.checkArchives()
		checkTexts(t, name, p.Problems, tc.want)
	}
}
