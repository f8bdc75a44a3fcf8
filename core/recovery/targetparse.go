package recovery

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/wal"
)

// Targets that PostgreSQL knows since some version (server_version_num).
const (
	versionImmediate = 90400
	versionAction    = 90500
	versionLSN       = 100000
	// versionSignals is from when on recovery settings are in postgresql.conf and signal files start recovery.
	versionSignals = 120000
)

// firstNormalXID is the first transaction id that a transaction can have.
const firstNormalXID = 3

// maxRestorePointName is PostgreSQL's limit, MAXFNAMELEN − 1.
const maxRestorePointName = 63

// ParseTarget reads the target of o. Times without a zone belong to zone. The error is a *PlanError.
func ParseTarget(o *Options, zone *time.Location) (Target, error) {
	t := Target{Timeline: o.TargetTimeline, Exclusive: o.Exclusive, Action: o.TargetAction}
	given := map[Kind]string{ToTime: o.TargetTime, ToXID: o.TargetXID, ToLSN: o.TargetLSN, ToName: o.TargetName}
	for kind, text := range given {
		if text == "" {
			continue
		}
		if t.Kind != ToEnd || o.TargetImmediate {
			return Target{}, refuse("You cannot specify multiple targets for the recovery operation", "")
		}
		t.Kind, t.Text = kind, text
	}
	if o.TargetImmediate {
		t.Kind, t.Text = ToImmediate, "immediate"
	}
	for _, parse := range []func(*Target, *time.Location) error{parseKind, parseTimeline, checkAction} {
		if err := parse(&t, zone); err != nil {
			return Target{}, err
		}
	}
	return t, nil
}

func parseKind(t *Target, zone *time.Location) error {
	var err error
	switch t.Kind {
	case ToTime:
		if t.Time, t.ZoneAssumed, err = parseTargetTime(t.Text, zone); err != nil {
			return refuse(fmt.Sprintf("Unable to parse the target time parameter '%s': %v", t.Text, err), "")
		}
		t.Text = catalog.FormatTime(t.Time)
	case ToLSN:
		if t.LSN, err = wal.ParseLSN(t.Text); err != nil {
			return refuse(fmt.Sprintf("Invalid target LSN '%s': %v", t.Text, err), "")
		}
	case ToXID:
		if n, err := strconv.ParseUint(t.Text, 10, 64); err != nil || n < firstNormalXID {
			return refuse(fmt.Sprintf("Invalid target transaction ID '%s'", t.Text),
				"It is a decimal number of at least 3, as txid_current() and the log's %x show it.")
		}
	case ToName:
		if len(t.Text) > maxRestorePointName || strings.ContainsAny(t.Text, "\n\r\x00") {
			return refuse(fmt.Sprintf("Invalid target name %q", t.Text),
				fmt.Sprintf("The name of a restore point has at most %d bytes and no line breaks.", maxRestorePointName))
		}
	}
	return nil
}

func parseTimeline(t *Target, _ *time.Location) error {
	switch t.Timeline {
	case "", TimelineCurrent, TimelineLatest:
		return nil
	}
	id, err := wal.ParseTimelineID(t.Timeline)
	if err != nil {
		return refuse(fmt.Sprintf("'%s' is not a valid recovery target timeline", t.Timeline),
			"It is a positive number, current or latest.")
	}
	t.TimelineID = id
	return nil
}

func checkAction(t *Target, _ *time.Location) error {
	switch {
	case t.Action == "":
		return nil
	case !slices.Contains([]string{"pause", "shutdown", "promote"}, t.Action):
		return refuse(fmt.Sprintf("'%s' is not a valid recovery target action", t.Action), "It is pause, shutdown or promote.")
	case !t.PITR():
		return refuse("Can't enable recovery target action when PITR is not required", "")
	}
	return nil
}

// checkVersion returns the problem that a server version has with a target.
func (t Target) checkVersion(version int) *Problem {
	since := map[Kind]int{ToImmediate: versionImmediate, ToLSN: versionLSN}[t.Kind]
	switch {
	case version < since:
		return &Problem{
			Summary: fmt.Sprintf("PostgreSQL %s does not know recovery targets of the kind '%s'", versionText(version), t.Kind),
			Advice:  "Use a target time or a transaction ID.",
		}
	case t.Action != "" && version < versionAction && t.Action != "pause":
		return &Problem{Summary: fmt.Sprintf("Illegal target action '%s' for this version of PostgreSQL", t.Action), Advice: "Only pause is known."}
	}
	return nil
}

// describe is the line that announces a point-in-time recovery.
func (t Target) describe() string {
	var parts []string
	add := func(key, value string) { parts = append(parts, key+": '"+value+"'") }
	switch t.Kind {
	case ToTime, ToXID, ToLSN:
		add(string(t.Kind), t.Text)
	}
	if t.Timeline != "" {
		add("timeline", t.Timeline)
	}
	switch t.Kind {
	case ToName:
		add("name", t.Text)
	case ToImmediate:
		parts = append(parts, "immediate: True")
	}
	return "Doing PITR. Recovery target " + strings.Join(parts, ", ")
}

// versionText is a server_version_num as people write it: 15 or 9.6.
func versionText(version int) string {
	if version < 100000 {
		return fmt.Sprintf("%d.%d", version/10000, version/100%100)
	}
	return strconv.Itoa(version / 10000)
}
