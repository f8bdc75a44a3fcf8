package postgres

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseVersion(t *testing.T) {
	for _, test := range []struct {
		in    string
		num   int
		text  string
		major int
	}{
		{"15.18 (Debian 15.18-0+deb12u1)", 150018, "15.18", 15},
		{"17devel", 170000, "17devel", 17},
		{"18beta2", 180000, "18beta2", 18},
		{"10.23", 100023, "10.23", 10},
		{"9.6.24", 90600, "9.6.24", 9},
		{"15.4.0", 150004, "15.4.0", 15},
	} {
		got, err := parseVersion(test.in)
		if err != nil {
			t.Errorf("%q: %v", test.in, err)
		}
		if got != (Version{test.num, test.text}) || got.Major() != test.major {
			t.Errorf("%q: %#v, major %d", test.in, got, got.Major())
		}
	}
	for _, bad := range []string{"", "x", "devel17", "99999999999999999999"} {
		if v, err := parseVersion(bad); err == nil {
			t.Errorf("%q: %v, want an error", bad, v)
		}
	}
}

func TestVersionTextDropsEDBsFourthPart(t *testing.T) {
	for in, want := range map[string]string{
		"PostgreSQL 15.18 (Debian 15.18-0+deb12u1) on x86_64-pc-linux-gnu": "15.18",
		"EnterpriseDB 9.5.0.5 on x86_64":                                   "9.5.0",
		"PostgreSQL":                                                       "",
	} {
		if got := versionText(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestDialectIsTheNewestThatIsNotNewer(t *testing.T) {
	for major, since := range map[int]int{10: 10, 11: 11, 12: 11, 13: 13, 14: 14, 15: 15, 16: 15, 17: 17, 18: 17, 25: 17} {
		if got := dialectOf(Version{Num: major * 10000}).since; got != since {
			t.Errorf("PostgreSQL %d uses the dialect of %d, want %d", major, got, since)
		}
	}
}

func TestSplitStandbyNames(t *testing.T) {
	for in, want := range map[string][]string{
		"":                                 {""},
		"*":                                {"*"},
		"a, b":                             {"a", "b"},
		`2 ("A-1", b)`:                     {"A-1", "b"},
		"FIRST 1 (barman_receive_wal, s1)": {"barman_receive_wal", "s1"},
		"ANY 1 (*)":                        {"*"},
	} {
		if diff := cmp.Diff(want, splitStandbyNames(in)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", in, diff)
		}
	}
}
