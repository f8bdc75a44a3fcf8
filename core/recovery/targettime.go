package recovery

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/barman-go/barman/core/pattern"
)

// specialTimes are inputs of PostgreSQL's type timestamptz that stand for no fixed moment. recovery_target_time
// refuses the ones that depend on the clock, too.
var specialTimes = []string{
	"infinity", "-infinity", "+infinity", "now", "today", "tomorrow", "yesterday", "epoch", "allballs",
}

var (
	weekday = pattern.New(`(?i)^(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\.?,?\s+`)
	// dateOutput is what date(1) prints: the zone stands before the year.
	dateOutput = pattern.New(`^(.*\d:\d\d(?::\d\d)?(?: ?[AaPp][Mm])?) ([A-Za-z]{1,5}) (\d{4})$`)
	zoneOffset = pattern.New(`^(.*(?::\d\d(?:[.,]\d+)?|[T ]\d{4}|[T ]\d{6}|\d [AaPp][Mm])) ?([+-]\d{1,2}(?::?\d{2}){0,2})$`)
	zoneName   = pattern.New(`^(.*(?:\d|[Mm]\.?)) ([A-Za-z][A-Za-z0-9_]*(?:[/+-][A-Za-z0-9_+-]+)*)$`)
	zoneSuffix = pattern.New(`^(.*\d)([Zz]|UTC|GMT)$`)
	compactISO = pattern.New(`(\d)[Tt](\d)`)
	offsetForm = pattern.New(`^([+-])(\d{1,2}):?(\d{2})?:?(\d{2})?$`)
	afternoon  = pattern.New(`(?i) ?([ap])\.?m\.?$`)
	dayOrMonth = pattern.New(`^\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4}\b`)
)

// dateLayouts and timeLayouts are combined; fractions of a second are accepted after every layout that ends in
// seconds.
var (
	dateLayouts = []string{
		"2006-1-2", "2006/1/2", "20060102", "2 Jan 2006", "2-Jan-2006", "Jan 2 2006", "Jan 2, 2006", "2006-Jan-2",
		"2 January 2006", "January 2 2006", "January 2, 2006",
	}
	timeLayouts = []string{" 15:04:05", " 15:04", " 3:04:05 PM", " 3:04 PM", " 3 PM", " 150405", " 1504", " 15", ""}
	// yearLast are the forms of ctime and date(1).
	yearLast = []string{"Jan 2 15:04:05 2006", "Jan 2 3:04:05 PM 2006", "2 Jan 15:04:05 2006"}
)

// abbreviations are zone abbreviations of PostgreSQL's default set that mean one thing only, in hours east of
// Greenwich.
var abbreviations = map[string]int{
	"Z": 0, "UTC": 0, "GMT": 0, "UT": 0, "ZULU": 0, "WET": 0, "WEST": 1, "CET": 1, "CEST": 2, "MEZ": 1, "MESZ": 2, "EET": 2, "EEST": 3,
	"MSK": 3, "EST": -5, "EDT": -4, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7, "JST": 9, "KST": 9, "AEST": 10, "AEDT": 11,
}

// parseTargetTime reads a moment in the forms that PostgreSQL accepts: ISO 8601 with or without T, compact digits,
// months by name, and what date(1) and ctime print, followed by an offset, a zone's name or an abbreviation. Without
// one the moment is in zone, and assumed is true.
//
// Forms that could mean two moments are errors: 01/02/2026, an hour that daylight saving time skips or repeats,
// abbreviations used by several countries.
//
// Source: PostgreSQL manual, section "Date/Time Input".
func parseTargetTime(text string, zone *time.Location) (t time.Time, assumed bool, err error) {
	s := strings.Join(strings.Fields(text), " ")
	if slices.Contains(specialTimes, strings.ToLower(s)) {
		return time.Time{}, false, fmt.Errorf("%q is not a fixed moment: give a date and a time", s)
	}
	s = weekday.ReplaceAllString(s, "")
	if dayOrMonth.MatchString(s) {
		return time.Time{}, false, fmt.Errorf("%q could have the day or the month first: write the date as YYYY-MM-DD", s)
	}
	body, zoneText := cutZone(s)
	location := zone
	if zoneText != "" {
		if location, err = parseZone(zoneText, body, zone); err != nil {
			return time.Time{}, false, err
		}
	}
	wall, err := parseWall(body)
	if err != nil {
		return time.Time{}, false, err
	}
	t, err = inZone(wall, location)
	return t, zoneText == "", err
}

// cutZone splits what stands for a zone off the end.
func cutZone(s string) (body, zone string) {
	if m := dateOutput.FindStringSubmatch(s); m != nil && !meridiem(m[2]) {
		return m[1] + " " + m[3], m[2]
	}
	if m := zoneOffset.FindStringSubmatch(s); m != nil {
		return strings.TrimSpace(m[1]), m[2]
	}
	if m := zoneSuffix.FindStringSubmatch(s); m != nil {
		return m[1], m[2]
	}
	if m := zoneName.FindStringSubmatch(s); m != nil && !meridiem(m[2]) {
		return strings.TrimSpace(m[1]), m[2]
	}
	return s, ""
}

func meridiem(s string) bool { return strings.EqualFold(s, "am") || strings.EqualFold(s, "pm") }

// parseWall reads a date and a time of day without a zone; the result is in UTC.
func parseWall(body string) (time.Time, error) {
	body = compactISO.ReplaceAllString(body, "$1 $2")
	body = afternoon.ReplaceAllStringFunc(body, func(m string) string {
		return " " + strings.ToUpper(strings.Trim(strings.ReplaceAll(m, ".", ""), " "))
	})
	for _, date := range dateLayouts {
		for _, clock := range timeLayouts {
			if t, err := time.Parse(date+clock, body); err == nil {
				return t.Truncate(time.Microsecond), nil
			}
		}
	}
	for _, layout := range yearLast {
		if t, err := time.Parse(layout, body); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a date and time such as 2026-01-31 14:30:00+01:00", body)
}

// parseZone reads an offset, a zone's name such as Europe/Rome, or an abbreviation. body decides which abbreviation
// of the host's zone is in force.
func parseZone(text, body string, host *time.Location) (*time.Location, error) {
	if m := offsetForm.FindStringSubmatch(text); m != nil {
		return parseOffset(m)
	}
	if hours, ok := abbreviations[strings.ToUpper(text)]; ok {
		return time.FixedZone("", hours*3600), nil
	}
	if wall, err := parseWall(body); err == nil {
		// An abbreviation of this host's own zone, as date(1) prints it.
		for _, hour := range []time.Duration{-time.Hour, 0, time.Hour} {
			at := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), 0, 0, host).Add(hour)
			if name, offset := at.Zone(); strings.EqualFold(name, text) {
				return time.FixedZone("", offset), nil
			}
		}
	}
	if strings.Contains(text, "/") {
		if location, err := time.LoadLocation(text); err == nil {
			return location, nil
		}
	}
	return nil, fmt.Errorf("time zone %q is unknown or has several meanings: give an offset such as +01:00, or a name such as Europe/Rome", text)
}

func parseOffset(m []string) (*time.Location, error) {
	seconds := 0
	for i, unit := range []int{3600, 60, 1} {
		n := 0
		for _, c := range m[i+2] {
			n = n*10 + int(c-'0')
		}
		if i > 0 && n > 59 {
			return nil, fmt.Errorf("%q is not an offset from UTC", m[0])
		}
		seconds += n * unit
	}
	// PostgreSQL's limit (MAX_TZDISP_HOUR).
	if seconds >= 16*3600 {
		return nil, fmt.Errorf("%q is not an offset from UTC", m[0])
	}
	if m[1] == "-" {
		seconds = -seconds
	}
	return time.FixedZone("", seconds), nil
}

// inZone is the moment at which clocks in a zone show wall. The result has a fixed offset.
func inZone(wall time.Time, location *time.Location) (time.Time, error) {
	var found []time.Time
	// Every offset that was in force within a day is a candidate; a moment counts when clocks really showed it.
	for _, around := range []time.Duration{-24 * time.Hour, 24 * time.Hour} {
		_, offset := wall.Add(around).In(location).Zone()
		t := wall.Add(-time.Duration(offset) * time.Second).In(location)
		if _, actual := t.Zone(); actual == offset && (len(found) == 0 || !found[0].Equal(t)) {
			found = append(found, t)
		}
	}
	const layout = "2006-01-02 15:04:05"
	switch len(found) {
	case 0:
		return time.Time{}, fmt.Errorf("%s does not exist in time zone %s, where clocks were put forward: give an offset such as +01:00",
			wall.Format(layout), location)
	case 2:
		return time.Time{}, fmt.Errorf("%s happened twice in time zone %s, where clocks were put back: give an offset such as +01:00",
			wall.Format(layout), location)
	}
	if found[0].Year() < 1970 || found[0].Year() > 9999 {
		return time.Time{}, errors.New("the year is out of range")
	}
	_, offset := found[0].Zone()
	return found[0].In(time.FixedZone("", offset)), nil
}
