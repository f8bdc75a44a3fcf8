package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/barman-go/barman/core/pattern"
)

var intervalPattern = pattern.New(`(?i)^\s*([0-9]+)\s+(day|month|week|hour)s?\s*$`)

// ParseInterval reads "7 DAYS", "1 week", "3 months" or "12 hours". A month has 31 days.
func ParseInterval(text string) (time.Duration, error) {
	m := intervalPattern.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("Invalid value for a time interval %s", text)
	}
	const day = 24 * time.Hour
	unit := map[string]time.Duration{"hour": time.Hour, "day": day, "week": 7 * day, "month": 31 * day}[strings.ToLower(m[2])]
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil || n > int64(1<<63-1)/int64(unit) {
		return 0, fmt.Errorf("time interval out of range: %s", text)
	}
	return time.Duration(n) * unit, nil
}

var (
	sizePattern = pattern.New(`^([0-9]+)\s*(k|Ki|M|Mi|G|Gi|T|Ti)?\s*$`)
	sizeUnits   = map[string]int64{
		"": 1, "k": 1e3, "Ki": 1 << 10, "M": 1e6, "Mi": 1 << 20, "G": 1e9, "Gi": 1 << 30, "T": 1e12, "Ti": 1 << 40,
	}
)

// ParseSize reads a number of bytes with an optional suffix k Ki M Mi G Gi T Ti, whose case matters.
func ParseSize(text string) (int64, error) {
	m := sizePattern.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("Invalid value for a number %s", text)
	}
	unit := sizeUnits[m[2]]
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil || n > int64(1<<63-1)/unit {
		return 0, fmt.Errorf("size out of range: %s", text)
	}
	return n * unit, nil
}

var (
	redundancyPattern = pattern.New(`(?i)^\s*redundancy\s+([0-9]+)\s*$`)
	windowPattern     = pattern.New(`(?i)^\s*recovery\s+window\s+of\s+([0-9]+)\s+(day|month|week)s?\s*$`)
)

// ParseRetention checks a retention policy and returns its normal form: "REDUNDANCY 2" or "RECOVERY WINDOW OF 7 DAYS".
func ParseRetention(text string) (string, error) {
	if m := redundancyPattern.FindStringSubmatch(text); m != nil && fitsInt(m[1]) {
		return "REDUNDANCY " + trimZeros(m[1]), nil
	}
	if m := windowPattern.FindStringSubmatch(text); m != nil && fitsInt(m[1]) {
		return "RECOVERY WINDOW OF " + trimZeros(m[1]) + " " + strings.ToUpper(m[2]) + "S", nil
	}
	return "", fmt.Errorf("Cannot parse option retention policy: %s", text)
}

func fitsInt(digits string) bool {
	_, err := strconv.ParseInt(digits, 10, 32)
	return err == nil
}

func trimZeros(digits string) string {
	if s := strings.TrimLeft(digits, "0"); s != "" {
		return s
	}
	return "0"
}
