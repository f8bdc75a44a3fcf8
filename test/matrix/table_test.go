package matrix

import (
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"
)

// What a cell says besides "n/a: reason" and "not asked for".
const (
	proven  = "✓"
	refuted = "✗"
	unknown = "?"
)

// table is what is known about every row on every version. Its methods may be called at any time.
type table struct {
	rows     []row
	versions []int

	mu    sync.Mutex
	cells map[string]map[int]string
}

// newTable has a "?" in every cell but those that PostgreSQL cannot do.
func newTable(rows []row, versions []int) *table {
	t := &table{rows: rows, versions: versions, cells: map[string]map[int]string{}}
	for _, r := range rows {
		t.cells[r.name] = map[int]string{}
		for _, v := range versions {
			t.cells[r.name][v] = unknown
			if reason := r.impossible(v); reason != "" {
				t.cells[r.name][v] = "n/a: " + reason
			}
		}
	}
	return t
}

func (t *table) set(row string, version int, cell string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cells[row][version] = cell
}

func (t *table) setAll(version int, cell string) {
	for _, r := range t.rows {
		t.set(r.name, version, cell)
	}
}

// holes are the cells that were neither proven nor excluded for a reason.
func (t *table) holes() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var holes []string
	for _, r := range t.rows {
		for _, v := range t.versions {
			if cell := t.cells[r.name][v]; cell == refuted || cell == unknown {
				holes = append(holes, fmt.Sprintf("%s on PostgreSQL %d", r.name, v))
			}
		}
	}
	return holes
}

func (t *table) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	width := 0
	for _, r := range t.rows {
		width = max(width, utf8.RuneCountInString(r.name))
	}
	widths := map[int]int{}
	for _, v := range t.versions {
		widths[v] = len("PostgreSQL 18")
		for _, r := range t.rows {
			widths[v] = max(widths[v], utf8.RuneCountInString(t.cells[r.name][v]))
		}
	}
	var b strings.Builder
	b.WriteString(pad("", width))
	for _, v := range t.versions {
		b.WriteString("  " + pad(fmt.Sprintf("PostgreSQL %d", v), widths[v]))
	}
	for _, r := range t.rows {
		b.WriteString("\n" + pad(r.name, width))
		for _, v := range t.versions {
			b.WriteString("  " + pad(t.cells[r.name][v], widths[v]))
		}
	}
	lines := strings.Split(b.String(), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	return strings.Join(lines, "\n") + "\n"
}

func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}
