package recovery

import (
	"time"
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
