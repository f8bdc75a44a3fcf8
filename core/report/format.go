package report

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// sizeUnits are powers of 1024.
var sizeUnits = []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"}

// Size formats a number of bytes: "512 B", "38.1 MiB".
func Size(bytes int64) string {
	return SizeFloat(float64(bytes))
}

// SizeFloat is Size for a rate or another value that need not be whole. Bytes are printed without decimals.
func SizeFloat(bytes float64) string {
	v, unit := bytes, 0
	for math.Abs(v) >= 1024 && unit < len(sizeUnits)-1 {
		v /= 1024
		unit++
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", int64(v))
	}
	return fmt.Sprintf("%.1f %s", v, sizeUnits[unit])
}

// Duration formats a duration in words, cut to whole seconds: "3 days, 2 hours, 1 minute, 5 seconds",
// "less than one second", "1 hour ago" when negative.
func Duration(d time.Duration) string {
	suffix := ""
	if d < 0 {
		d, suffix = -d, " ago"
	}
	secs := int64(d / time.Second)
	if secs == 0 {
		return "less than one second" + suffix
	}
	var parts []string
	for _, u := range []struct {
		seconds int64
		name    string
	}{{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}} {
		n := secs / u.seconds
		secs %= u.seconds
		switch n {
		case 0:
		case 1:
			parts = append(parts, "1 "+u.name)
		default:
			parts = append(parts, fmt.Sprintf("%d %ss", n, u.name))
		}
	}
	return strings.Join(parts, ", ") + suffix
}

// Percent formats a ratio: 0.75 is "75.00%".
func Percent(ratio float64) string {
	return fmt.Sprintf("%.2f%%", ratio*100)
}

// CTime formats a time as C's ctime does: "Fri Jan  9 10:05:00 2026". The caller chooses the zone.
func CTime(t time.Time) string {
	return t.Format("Mon Jan _2 15:04:05 2006")
}

// Timestamp formats a time as PostgreSQL and Python do: "2026-01-10 10:00:00.123456+01:00". Microseconds are left out
// when they are zero.
func Timestamp(t time.Time) string {
	layout := "2006-01-02 15:04:05.000000-07:00"
	if t.Nanosecond()/1000 == 0 {
		layout = "2006-01-02 15:04:05-07:00"
	}
	return t.Format(layout)
}

// NaiveTimestamp is Timestamp without the zone.
func NaiveTimestamp(t time.Time) string {
	s := Timestamp(t)
	return s[:len(s)-len("+00:00")]
}

// Epoch is the number of whole seconds since 1970 as text, the form of every `…_timestamp` member in JSON.
func Epoch(t time.Time) string {
	return fmt.Sprint(t.Unix())
}
