package catalog

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// FormatTime is t as Python prints a datetime that knows its zone: 2025-01-01 00:00:00.123456+01:00. Microseconds
// appear unless they are 0; the offset has seconds when it needs them. The zero time is "None".
func FormatTime(t time.Time) string {
	if t.IsZero() {
		return "None"
	}
	layout := "2006-01-02 15:04:05"
	if t.Nanosecond()/1000 != 0 {
		layout += ".000000"
	}
	_, offset := t.Zone()
	sign := byte('+')
	if offset < 0 {
		sign, offset = '-', -offset
	}
	s := fmt.Sprintf("%s%c%02d:%02d", t.Format(layout), sign, offset/3600, offset/60%60)
	if offset%60 != 0 {
		s += fmt.Sprintf(":%02d", offset%60)
	}
	return s
}

// dateLayouts are tried in order after the zone has been cut off. Fractions of a second are accepted by all.
var dateLayouts = []string{
	"2006-01-02 15:04:05",
	"2006-01-02 15:04",
	"20060102T150405",
	"Mon Jan _2 15:04:05 2006",
}

// ParseTime reads a date and time as FormatTime writes it, and some other forms that catalogs are known to hold: a T
// between date and time, offsets such as Z, +0100 and +01, and no offset at all, which means the zone local. The
// offset found is kept: the result's location is a fixed zone.
func ParseTime(text string, local *time.Location) (time.Time, error) {
	text = strings.TrimSpace(text)
	body, offset, found := cutOffset(text)
	if len(body) > 10 && body[10] == 'T' && body[4] == '-' {
		body = body[:10] + " " + body[11:]
	}
	for _, layout := range dateLayouts {
		location := local
		if found {
			location = time.FixedZone("", offset)
		}
		t, err := time.ParseInLocation(layout, body, location)
		if err != nil {
			continue
		}
		if !found {
			_, offset = t.Zone()
		}
		return t.Truncate(time.Microsecond).In(time.FixedZone("", offset)), nil
	}
	return time.Time{}, fmt.Errorf("%q is not a date and time such as 2025-01-01 00:00:00.123456+01:00", text)
}

// cutOffset splits the offset from UTC, in seconds, off the end of a date and time.
func cutOffset(text string) (body string, offset int, found bool) {
	if rest, ok := strings.CutSuffix(text, "Z"); ok {
		return strings.TrimSpace(rest), 0, true
	}
	if rest, ok := strings.CutSuffix(text, "UTC"); ok {
		return strings.TrimSpace(rest), 0, true
	}
	i := strings.LastIndexAny(text, "+-")
	// The date's own dashes come before any colon.
	if i < 0 || !strings.Contains(text[:i], ":") {
		return text, 0, false
	}
	digits := strings.ReplaceAll(text[i+1:], ":", "")
	if len(digits) != 2 && len(digits) != 4 && len(digits) != 6 {
		return text, 0, false
	}
	n, err := strconv.ParseUint((digits + "0000")[:6], 10, 32)
	if err != nil || n/100%100 > 59 || n%100 > 59 || n/10000 > 23 {
		return text, 0, false
	}
	offset = int(n/10000*3600 + n/100%100*60 + n%100)
	if text[i] == '-' {
		offset = -offset
	}
	return strings.TrimSpace(text[:i]), offset, true
}
