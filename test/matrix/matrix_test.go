package matrix

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/barman-go/barman/test/lab"
)

// versions are the columns: the oldest that Debian still has, that of Debian 12, and the two newest.
var versions = []int{13, 15, 17, 18}

// TestMatrix runs the versions side by side, as many as there are processors, and prints the table.
func TestMatrix(t *testing.T) {
	all := rows()
	plan := together(t, all)
	if os.Getenv("BARMAN_TEST_MATRIX_EACH") != "" {
		plan = apart(all)
	}
	asked := askedFor(t)
	cells := newTable(all, versions)
	t.Run("PostgreSQL", func(t *testing.T) {
		for _, version := range versions {
			if !slices.Contains(asked, version) {
				cells.setAll(version, "not asked for")
				continue
			}
			t.Run(strconv.Itoa(version), func(t *testing.T) {
				t.Parallel()
				if _, err := lab.FindPostgres(version); err != nil {
					t.Fatal(err)
				}
				newScene(t, version).runAll(t, plan, cells)
			})
		}
	})
	fmt.Print("\n", cells) // also when the test succeeds
	for _, hole := range cells.holes() {
		t.Errorf("not proven: %s", hole)
	}
}

// askedFor are the versions that the environment asks for: all of them when it does not say.
func askedFor(t *testing.T) []int {
	text := os.Getenv("BARMAN_TEST_MATRIX_VERSIONS")
	if text == "" {
		return versions
	}
	var asked []int
	for word := range strings.SplitSeq(text, ",") {
		version, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || !slices.Contains(versions, version) {
			t.Fatalf("BARMAN_TEST_MATRIX_VERSIONS=%q: %q is none of %v", text, word, versions)
		}
		asked = append(asked, version)
	}
	return asked
}
