package recovery

import (
	"strings"
	"time"

	"github.com/barman-go/barman/core/report"
)

// Clock is a zone in which somebody may read a time.
type Clock struct {
	// Name is UTC, here or server.
	Name string
	Zone *time.Location
}

// clocks are those of UTC, of this host, and of the server that was backed up, if its configuration is in the backup.
func clocks(here *time.Location, conf restoredConf) []Clock {
	all := []Clock{{"UTC", time.UTC}, {"here", here}}
	if !conf.known {
		return all
	}
	name := conf.values["timezone"]
	if name == "" {
		name = "GMT" // PostgreSQL's default, when initdb's line was taken out
	}
	// PostgreSQL has names of its own, besides those of the tz database.
	if zone, err := time.LoadLocation(name); err == nil && name != "Local" {
		all = append(all, Clock{"server", zone})
	}
	return all
}

// onClocks says how all clocks show a time.
func (p *Plan) onClocks(t time.Time) string {
	shown := make([]string, 0, len(p.Clocks))
	for _, c := range p.Clocks {
		shown = append(shown, c.Name+" "+report.Timestamp(t.In(c.Zone)))
	}
	return "Clocks: " + strings.Join(shown, ", ")
}
