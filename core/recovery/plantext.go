package recovery

import (
	"strings"
	"time"

	"github.com/barman-go/barman/core/report"
)

// about rounds a duration to what an estimate is worth.
func about(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "less than a minute"
	case d < time.Hour:
		return "about " + report.Duration(d.Round(time.Minute))
	}
	return "about " + report.Duration(d.Round(10*time.Minute))
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// wrap breaks text at blanks into lines of at most width characters; longer words stay whole.
func wrap(text string, width int) []string {
	var lines []string
	for len(text) > width {
		at := strings.LastIndexByte(text[:width+1], ' ')
		if at <= 0 {
			if at = strings.IndexByte(text, ' '); at <= 0 {
				break
			}
		}
		lines = append(lines, strings.TrimRight(text[:at], " "))
		text = text[at+1:]
	}
	return append(lines, text)
}
