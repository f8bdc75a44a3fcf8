package bench

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// document collects the report.
type document struct {
	strings.Builder
	verdicts []string
}

func (d *document) section(title, text string) {
	fmt.Fprintf(d, "\n## %s\n\n%s\n\n", title, text)
}

func (d *document) table(header []string, rows [][]string) {
	fmt.Fprintf(d, "| %s |\n|%s\n", strings.Join(header, " | "), strings.Repeat("---|", len(header)))
	for _, r := range rows {
		fmt.Fprintf(d, "| %s |\n", strings.Join(r, " | "))
	}
}

// bar states a goal and what was reached.
func (d *document) bar(goal string, met bool, reached string) {
	word := "met"
	if !met {
		word = "missed"
	}
	d.verdicts = append(d.verdicts, fmt.Sprintf("| %s | %s | %s |", goal, reached, word))
}

func (d *document) write(t *testing.T, path, machine string) {
	t.Helper()
	text := "# Benchmarks\n\nWritten by `make bench`; do not edit. " + machine +
		"\n\nMedians of rounds in which every program has its turn. Compare ratios, not seconds.\n" +
		"\n## Goals\n\n| goal | reached | |\n|---|---|---|\n" + strings.Join(d.verdicts, "\n") + "\n" + d.String()
	t.Log("\n" + text)
	if path == "" {
		return
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func seconds(f float64) string {
	if f < 1 {
		return fmt.Sprintf("%.1f ms", f*1000)
	}
	return fmt.Sprintf("%.2f s", f)
}
