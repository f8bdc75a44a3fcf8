package recovery

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/barman-go/barman/core/catalog"
)

// TestDamagedWALIsFoundBeforeTheCopy puts files into the range that recovery could not use.
func TestDamagedWALIsFoundBeforeTheCopy(t *testing.T) {
	r, _, _ := newRestorer(t, catalog.DefaultLayout(t.TempDir(), serverName))
	for name, tc := range map[string]struct {
		content, want string
		getWAL        bool
	}{
		"cut":            {content: "", want: "cannot be used"},
		"no WAL":         {content: "Dear diary\n", want: "cannot be used"},
		"not decodable":  {content: "\x28\xb5\x2f\xfd and so on", want: "WAL is compressed with zstd, which nothing on this host can decode"},
		"may still come": {content: "Dear diary\n", getWAL: true},
		"gone meanwhile": {content: "-"},
		"compressed":     {content: "\x1f\x8b\x08 and so on"},
	} {
		path := filepath.Join(t.TempDir(), "000000010000000000000002")
		if tc.content != "-" {
			if err := os.WriteFile(path, []byte(tc.content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		p := &Plan{Backup: testBackup(1, 150004), WAL: WALRange{Files: []WALFile{{Name: filepath.Base(path), Path: path}}}}
		if err := r.checkWAL(t.Context(), &Options{GetWAL: tc.getWAL}, p); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		checkTexts(t, name, p.Problems, tc.want)
		if tc.getWAL && len(p.Warnings) != 1 {
			t.Errorf("%s: warnings %q", name, p.Warnings)
		}
	}
}
