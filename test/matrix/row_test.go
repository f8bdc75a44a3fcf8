package matrix

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// row is one promise, and what a trial has to do so that it is kept or broken. Of a trial of several rows each adds its part.
type row struct {
	name string
	// cannot says why PostgreSQL of a major version cannot do it, and nothing when it can; nil means that all can.
	cannot func(major int) string
	// options are of the server "main"; without backup_method it is backed up by local-rsync.
	options func(*scene) map[string]any
	// backup are arguments of `barman backup`, recover those of `barman recover`.
	backup  []string
	recover func(*scene) []string
	// before runs with the options in place, before the backup.
	before func(*testing.T, *scene)
	// after runs between the backup and the restore point up to which it is recovered.
	after func(*testing.T, *trial)
	// immediate recovers to the end of the backup instead.
	immediate bool
	// taken looks at the backup, restored at the server that was started on it.
	taken, restored func(*testing.T, *trial)
	// alone proves a row that no backup belongs to, because it is refused; the other fields are unused then.
	alone func(*testing.T, *scene)
	// by is the program that takes the backup, when it is not `barman backup --wait main`.
	by func(*testing.T, *trial)
}

func (r row) impossible(major int) string {
	if r.cannot == nil {
		return ""
	}
	return r.cannot(major)
}

// since is for rows that need a version, until for those that have gone with one.
func since(first int, reason string) func(int) string {
	return func(major int) string { return map[bool]string{true: reason}[major < first] }
}

func until(last int, reason string) func(int) string {
	return func(major int) string { return map[bool]string{true: reason}[major > last] }
}

// rows are all rows, in the order of the table.
func rows() []row {
	return slices.Concat(copyRows(), lifeRows(), postgresRows(), modeRows(), refusalRows(), standbyRows(), walRows())
}

// merged is what the rows of a trial ask for together.
func (s *scene) merged(t *testing.T, rows []row) (options map[string]any, backup, recover []string) {
	t.Helper()
	options = map[string]any{}
	for _, r := range rows {
		if r.options != nil {
			for option, value := range r.options(s) {
				if other, there := options[option]; there && !cmp.Equal(other, value) {
					t.Fatalf("row %q wants %s = %v, another one of the same trial %v", r.name, option, value, other)
				}
				options[option] = value
			}
		}
		backup = append(backup, r.backup...)
		if r.recover != nil {
			recover = append(recover, r.recover(s)...)
		}
	}
	defaults := map[string]any{
		"conninfo": s.primary.Conninfo("", ""), "streaming_conninfo": s.primary.Conninfo("", ""), "backup_method": "local-rsync",
		"archiver": true, "compression": "zstd", "backup_options": "concurrent_backup",
	}
	maps.Copy(defaults, options)
	return defaults, backup, recover
}

// together makes the trials of the table below, and wants every row in exactly one of them.
func together(t *testing.T, all []row) [][]row {
	t.Helper()
	count := map[string]int{}
	var plan [][]row
	for _, names := range trials {
		var rows []row
		for _, name := range names {
			i := slices.IndexFunc(all, func(r row) bool { return r.name == name })
			if i < 0 {
				t.Fatalf("there is no row %q", name)
			}
			count[name]++
			rows = append(rows, all[i])
		}
		plan = append(plan, rows)
	}
	for _, r := range all {
		if count[r.name] != 1 {
			t.Fatalf("row %q is in %d trials", r.name, count[r.name])
		}
	}
	return plan
}

// apart gives each row a trial of its own.
func apart(all []row) [][]row {
	var plan [][]row
	for _, r := range all {
		plan = append(plan, []row{r})
	}
	return plan
}

// possible are the rows of a trial that a version can do.
func possible(rows []row, major int) []row {
	return slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return r.impossible(major) != "" })
}

// title names a trial.
func title(rows []row) string {
	if len(rows) == 1 {
		return rows[0].name
	}
	return fmt.Sprintf("%s and %d more", rows[0].name, len(rows)-1)
}
