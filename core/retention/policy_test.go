package retention

import (
	"errors"
	"testing"
	"time"
)

func TestParsePolicy(t *testing.T) {
	for text, want := range map[string]Policy{
		"REDUNDANCY 2":                   {Kind: Redundancy, N: 2},
		"redundancy\t 10 ":               {Kind: Redundancy, N: 10},
		"REDUNDANCY 0":                   {Kind: Redundancy},
		"RECOVERY WINDOW OF 7 DAYS":      {Kind: RecoveryWindow, N: 7, Unit: Days},
		"recovery  window of 1 day":      {Kind: RecoveryWindow, N: 1, Unit: Days},
		"Recovery Window Of 4 Weeks":     {Kind: RecoveryWindow, N: 4, Unit: Weeks},
		"RECOVERY WINDOW OF 1 WEEK":      {Kind: RecoveryWindow, N: 1, Unit: Weeks},
		"RECOVERY WINDOW OF 12 MONTHS":   {Kind: RecoveryWindow, N: 12, Unit: Months},
		" RECOVERY WINDOW OF 1\nMONTH ":  {Kind: RecoveryWindow, N: 1, Unit: Months},
		"":                               {},
		"   ":                            {},
		"RECOVERY WINDOW OF 3000 MONTHS": {Kind: RecoveryWindow, N: 3000, Unit: Months},
		"RECOVERY WINDOW OF 0 DAYS":      {Kind: RecoveryWindow, Unit: Days},
		"RECOVERY WINDOW OF 007 DAYS":    {Kind: RecoveryWindow, N: 7, Unit: Days},
	} {
		got, err := ParsePolicy(text)
		if err != nil || got != want {
			t.Errorf("ParsePolicy(%q) = %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"REDUNDANCY", "REDUNDANCY -1", "REDUNDANCY +1", "REDUNDANCY two", "REDUNDANCY 2 DAYS", "REDUNDANCY 2.5", "REDUNDANCY 99999999999",
		"RECOVERY WINDOW OF 7", "RECOVERY WINDOW OF DAYS", "RECOVERY WINDOW 7 DAYS", "RECOVERY WINDOW OF 7 YEARS",
		"RECOVERY WINDOW OF 7 DAYSS", "RECOVERY WINDOW OF 7 D", "RECOVERY WINDOW OF 7DAYS", "7 DAYS", "RECOVERY WINDOW OF 9999999 MONTHS",
	} {
		if got, err := ParsePolicy(text); !errors.Is(err, ErrPolicy) {
			t.Errorf("ParsePolicy(%q) = %+v, %v", text, got, err)
		}
	}
}

func TestPolicyText(t *testing.T) {
	for want, p := range map[string]Policy{
		"":                             {},
		"REDUNDANCY 2":                 {Kind: Redundancy, N: 2},
		"RECOVERY WINDOW OF 1 DAYS":    {Kind: RecoveryWindow, N: 1, Unit: Days},
		"RECOVERY WINDOW OF 4 WEEKS":   {Kind: RecoveryWindow, N: 4, Unit: Weeks},
		"RECOVERY WINDOW OF 12 MONTHS": {Kind: RecoveryWindow, N: 12, Unit: Months},
	} {
		if got := p.String(); got != want {
			t.Errorf("%+v is %q, want %q", p, got, want)
		}
	}
}

func TestWindow(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"RECOVERY WINDOW OF 7 DAYS": 7 * day, "RECOVERY WINDOW OF 2 WEEKS": 14 * day, "RECOVERY WINDOW OF 2 MONTHS": 62 * day,
		"RECOVERY WINDOW OF 3000 MONTHS": 93000 * day, "REDUNDANCY 3": 0,
	} {
		p, err := ParsePolicy(text)
		if got := p.Window(); err != nil || got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func FuzzParsePolicy(f *testing.F) {
	f.Add("REDUNDANCY 2")
	f.Add("recovery window of 7 days")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePolicy(text)
		if err != nil {
			return
		}
		again, err := ParsePolicy(p.String())
		if err != nil || again != p || p.Window() < 0 {
			t.Fatalf("%q: %+v, then %+v, %v", text, p, again, err)
		}
	})
}
