package retention

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Kind is the kind of a policy.
type Kind int

// Kinds of policies.
const (
	// None: nothing is ever obsolete.
	None Kind = iota
	// Redundancy keeps a number of backups.
	Redundancy
	// RecoveryWindow keeps what is needed to recover any moment of a period before now.
	RecoveryWindow
)

// Unit is the unit of a recovery window.
type Unit string

// Units, as the text form has them.
const (
	Days   Unit = "DAYS"
	Weeks  Unit = "WEEKS"
	Months Unit = "MONTHS"
)

// unitDays is how long each unit is. A month has 31 days, so that a window is never shorter than the calendar's.
var unitDays = map[Unit]int{Days: 1, Weeks: 7, Months: 31}

// Policy is a retention_policy. The zero value is the policy None.
type Policy struct {
	Kind Kind
	// N is the number of backups, or of units. It is not negative.
	N int
	// Unit is for RecoveryWindow only.
	Unit Unit
}

// ErrPolicy means that a text is not a retention policy.
var ErrPolicy = errors.New("not a retention policy")

// maxN keeps a window within what a time.Duration can hold: 3000 months are 254 years.
const maxN = 3000

// ParsePolicy reads the text of retention_policy, in any case and spacing:
//
//	REDUNDANCY n
//	RECOVERY WINDOW OF n DAYS (or DAY, WEEK, WEEKS, MONTH, MONTHS)
//
// An empty text is the policy None. Any number from 0 on is accepted, as Barman does; see Evaluate for what 0 means.
// Errors match ErrPolicy.
func ParsePolicy(text string) (Policy, error) {
	words := strings.Fields(strings.ToUpper(text))
	switch {
	case len(words) == 0:
		return Policy{}, nil
	case len(words) == 2 && words[0] == "REDUNDANCY":
		n, ok := parseN(words[1])
		if ok {
			return Policy{Kind: Redundancy, N: n}, nil
		}
	case len(words) == 5 && words[0] == "RECOVERY" && words[1] == "WINDOW" && words[2] == "OF":
		unit := Unit(strings.TrimSuffix(words[4], "S") + "S")
		n, ok := parseN(words[3])
		if ok && unitDays[unit] > 0 {
			return Policy{Kind: RecoveryWindow, N: n, Unit: unit}, nil
		}
	}
	return Policy{}, fmt.Errorf("%q is %w: want \"REDUNDANCY n\" or \"RECOVERY WINDOW OF n DAYS|WEEKS|MONTHS\", with n from 0 to %d",
		text, ErrPolicy, maxN)
}

func parseN(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 31)
	return int(n), err == nil && n <= maxN && s[0] != '+'
}

// String is the text form in which Barman shows a policy; empty for None.
func (p Policy) String() string {
	switch p.Kind {
	case Redundancy:
		return fmt.Sprintf("REDUNDANCY %d", p.N)
	case RecoveryWindow:
		return fmt.Sprintf("RECOVERY WINDOW OF %d %s", p.N, p.Unit)
	}
	return ""
}

// Window is the length of a recovery window; 0 for other policies.
func (p Policy) Window() time.Duration {
	if p.Kind != RecoveryWindow {
		return 0
	}
	return time.Duration(p.N*unitDays[p.Unit]) * 24 * time.Hour
}
