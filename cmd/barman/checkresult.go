package main

import (
	"fmt"
	"strings"

	"github.com/barman-go/barman/core/check"
	"github.com/barman-go/barman/core/report"
)

// checkResult is the output of check for one server.
type checkResult struct{ *check.Report }

func (c checkResult) Console(p *report.Printer) {
	p.Line("Server %s%s:", c.Server, state(c.Active, c.Disabled))
	for _, row := range c.Rows {
		if row.Hint == "" {
			p.Line("\t%s: %s", row.Label, p.State(row.OK))
		} else {
			p.Line("\t%s: %s (%s)", row.Label, p.State(row.OK), row.Hint)
		}
		for _, line := range row.Details {
			p.Line("\t\t%s", line)
		}
	}
}

// checkKey turns a label into the key that JSON has for it.
var checkKey = strings.NewReplacer(" ", "_", "-", "_", ".", "")

func (c checkResult) JSON() map[string]any {
	rows := map[string]any{}
	for _, row := range c.Rows {
		status := "OK"
		if !row.OK {
			status = "FAILED"
		}
		rows[checkKey.Replace(strings.ToLower(row.Label))] = map[string]any{"status": status, "hint": row.Hint}
	}
	return map[string]any{c.Server: rows}
}

// nagios writes reports in the form of a Nagios plugin: a first line with the state and performance data, and one line for
// each failure. broken means that servers could not be examined at all.
func nagios(reports []*check.Report, broken bool) (text string, critical bool) {
	var active, ignored, bad []*check.Report
	for _, r := range reports {
		switch {
		case r.Active:
			active = append(active, r)
		case r.Failed():
			ignored = append(ignored, r)
		}
	}
	for _, r := range active {
		if r.Failed() {
			bad = append(bad, r)
		}
	}
	switch {
	case len(bad) > 0:
		// Once there is something to look at, the inactive servers are looked at as well.
		return nagiosCritical(reports, failing(reports)) + nagiosFailures(reports), true
	case broken:
		return "BARMAN CRITICAL - Global configuration errors", true
	}
	return nagiosOK(active, ignored), false
}

func failing(reports []*check.Report) (bad []*check.Report) {
	for _, r := range reports {
		if r.Failed() {
			bad = append(bad, r)
		}
	}
	return bad
}

func nagiosCritical(all, bad []*check.Report) string {
	var b strings.Builder
	if len(all) == 1 {
		fmt.Fprintf(&b, "BARMAN CRITICAL - server %s has issues", bad[0].Server)
	} else {
		fmt.Fprintf(&b, "BARMAN CRITICAL - %d server out of %d have issues", len(bad), len(all))
	}
	for _, r := range bad {
		var labels []string
		for _, row := range r.Failures() {
			labels = append(labels, row.Label)
		}
		fmt.Fprintf(&b, " * %s FAILED: %s", r.Server, strings.Join(labels, ", "))
	}
	return b.String() + performance(all)
}

func nagiosFailures(reports []*check.Report) string {
	var b strings.Builder
	for _, r := range reports {
		for _, row := range r.Failures() {
			fmt.Fprintf(&b, "\n%s.%s: FAILED", r.Server, row.Label)
			if row.Hint != "" {
				fmt.Fprintf(&b, " (%s)", row.Hint)
			}
		}
	}
	return b.String()
}

func nagiosOK(active, ignored []*check.Report) string {
	var b strings.Builder
	switch len(active) {
	case 0:
		b.WriteString("BARMAN OK - No server configured")
	case 1:
		fmt.Fprintf(&b, "BARMAN OK - Ready to serve the Espresso backup for %s", active[0].Server)
	default:
		fmt.Fprintf(&b, "BARMAN OK - Ready to serve the Espresso backup for %d servers", len(active))
		for _, r := range active {
			fmt.Fprintf(&b, " * %s", r.Server)
		}
	}
	for _, r := range ignored {
		fmt.Fprintf(&b, " * IGNORING: %s", r.Server)
	}
	return b.String() + performance(active)
}

// performance is the performance data of reports, with the bar before it; empty when there is none.
func performance(reports []*check.Report) string {
	var data []string
	for _, r := range reports {
		for _, row := range r.Rows {
			switch {
			case row.Bytes == nil:
			case row.Label == check.LabelWALSize:
				data = append(data, fmt.Sprintf("%s_wals=%dB", r.Server, *row.Bytes))
			default:
				data = append(data, fmt.Sprintf("%s=%dB", r.Server, *row.Bytes))
			}
		}
	}
	if len(data) == 0 {
		return ""
	}
	return "|" + strings.Join(data, " ")
}
