package retention

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// now is noon of the 20th; a backup called "dd" or "dd-…" ended in the night before noon of its day.
var now = time.Date(2026, 1, 20, 12, 0, 0, 0, time.UTC)

// parse makes backups from a text such as "18 15:failed 11:keep=full 12.18": the day, and for an incremental backup
// its parent after a dot, followed by facts after colons.
func parse(t testing.TB, text string) []Backup {
	t.Helper()
	var backups []Backup
	for word := range strings.FieldsSeq(text) {
		facts := strings.Split(word, ":")
		id, parent, _ := strings.Cut(facts[0], ".")
		var day int
		if _, err := fmt.Sscanf(id, "%d", &day); err != nil {
			t.Fatal(err)
		}
		b := Backup{ID: id, Parent: parent, Done: true, EndTime: time.Date(2026, 1, day, 3, 0, 0, 0, time.UTC)}
		for _, fact := range facts[1:] {
			switch fact {
			case "failed", "waiting":
				b.Done = false
			case "running":
				b.Done, b.InProgress, b.EndTime = false, true, time.Time{}
			case "full":
				b.Keep = KeepFull
			case "standalone":
				b.Keep = KeepStandalone
			case "doomed":
				b.Doomed = true
			case "noend":
				b.EndTime = time.Time{}
			default:
				t.Fatalf("unknown fact %q", fact)
			}
		}
		backups = append(backups, b)
	}
	return backups
}

func labels(r *Report) string {
	var words []string
	for _, v := range r.Verdicts {
		words = append(words, v.ID+"="+string(v.Label))
	}
	return strings.Join(words, " ")
}

func evaluate(t testing.TB, policy, backups string, minimum int) *Report {
	t.Helper()
	p, err := ParsePolicy(policy)
	if err != nil {
		t.Fatal(err)
	}
	return Evaluate(Input{Policy: p, Backups: parse(t, backups), MinimumRedundancy: minimum, Now: now})
}

type retentionCase struct {
	name, policy, backups string
	minimum               int
	want                  string
	anchor, firstValid    string
	// from is the day of RecoverableFrom, 0 for none.
	from     int
	warnings int
}

var retentionCases = []retentionCase{
	// REDUNDANCY
	{name: "none", policy: "REDUNDANCY 2"},
	{
		name: "redundancy keeps the newest", policy: "REDUNDANCY 2", backups: "04 11 18", firstValid: "11", from: 11,
		want: "18=VALID 11=VALID 04=OBSOLETE",
	},
	{
		name: "fewer than required", policy: "REDUNDANCY 5", backups: "11 18", firstValid: "11", from: 11,
		want: "18=VALID 11=VALID",
	},
	{
		name: "incomplete backups do not count", policy: "REDUNDANCY 1", backups: "04 11 15:waiting 18:failed", firstValid: "11", from: 11,
		want: "18=- 15=- 11=VALID 04=OBSOLETE",
	},
	{
		name: "incomplete backups behind are left alone", policy: "REDUNDANCY 1", backups: "04:failed 11 18", firstValid: "18", from: 18,
		want: "18=VALID 11=OBSOLETE 04=-",
	},
	{
		name: "kept backups count", policy: "REDUNDANCY 2", backups: "04 11 15:standalone 18:full", firstValid: "15", from: 18,
		want: "18=KEEP:FULL 15=KEEP:STANDALONE 11=OBSOLETE 04=OBSOLETE",
	},
	{
		name: "kept backups stay beyond the number", policy: "REDUNDANCY 1", backups: "04:full 11:standalone 18", firstValid: "04", from: 4,
		want: "18=VALID 11=KEEP:STANDALONE 04=KEEP:FULL",
	},
	{
		name: "the minimum raises the number", policy: "REDUNDANCY 1", minimum: 2, backups: "04 11 18", firstValid: "11", from: 11,
		want: "18=VALID 11=VALID 04=OBSOLETE", warnings: 1,
	},
	{
		name: "zero keeps the newest", policy: "REDUNDANCY 0", backups: "11 18", firstValid: "18", from: 18,
		want: "18=VALID 11=OBSOLETE", warnings: 1,
	},
	{
		name: "zero with a minimum", policy: "REDUNDANCY 0", minimum: 1, backups: "11 18", firstValid: "18", from: 18,
		want: "18=VALID 11=OBSOLETE", warnings: 1,
	},
	{
		name: "incremental backups follow their root", policy: "REDUNDANCY 1", backups: "04 05.04 06.05 11 12.11 13.12", firstValid: "11", from: 11,
		want: "13=VALID 12=VALID 11=VALID 06=OBSOLETE 05=OBSOLETE 04=OBSOLETE",
	},
	{
		name: "incremental backups do not count", policy: "REDUNDANCY 2", backups: "04 11 12.11 13.11 14.11", firstValid: "04", from: 4,
		want: "14=VALID 13=VALID 12=VALID 11=VALID 04=VALID",
	},
	{
		name: "a failed incremental goes with its root", policy: "REDUNDANCY 1", backups: "04 05.04:failed 11", firstValid: "11", from: 11,
		want: "11=VALID 05=OBSOLETE 04=OBSOLETE",
	},
	{
		name: "children of an incomplete root", policy: "REDUNDANCY 1", backups: "04 05.04 11:failed 12.11", firstValid: "04", from: 4,
		want: "12=- 11=- 05=VALID 04=VALID",
	},
	{
		name: "children of a root kept in full", policy: "REDUNDANCY 1", backups: "04:full 05.04 11", firstValid: "04", from: 4,
		want: "11=VALID 05=VALID 04=KEEP:FULL",
	},
	{
		name: "children of a standalone root that counts", policy: "REDUNDANCY 2", backups: "04:standalone 05.04 11", firstValid: "04", from: 11,
		want: "11=VALID 05=VALID 04=KEEP:STANDALONE",
	},
	{
		name: "children of a standalone root that does not count", policy: "REDUNDANCY 1", backups: "04:standalone 05.04 06.05 11", firstValid: "04", from: 11,
		want: "11=VALID 06=OBSOLETE 05=OBSOLETE 04=KEEP:STANDALONE",
	},
	{
		name: "a chain without a root", policy: "REDUNDANCY 1", backups: "05.04 06.05 11", firstValid: "11", from: 11,
		want: "11=VALID 06=- 05=-", warnings: 2,
	},
	{
		name: "a chain that bites its tail", policy: "REDUNDANCY 1", backups: "05.06 06.05 11", firstValid: "11", from: 11,
		want: "11=VALID 06=- 05=-", warnings: 2,
	},
	{
		name: "a chain that grows is not obsolete", policy: "REDUNDANCY 1", backups: "04 05.04 11 20.05:running", firstValid: "04", from: 4,
		want: "20=- 11=VALID 05=VALID 04=VALID",
	},
	{
		name: "a standalone chain that grows", policy: "REDUNDANCY 1", backups: "04:standalone 05.04 11 20.05:running", firstValid: "04", from: 11,
		want: "20=- 11=VALID 05=VALID 04=KEEP:STANDALONE",
	},
	// RECOVERY WINDOW: 7 days before the 20th at noon is the 13th at noon.
	{name: "no backups", policy: "RECOVERY WINDOW OF 7 DAYS"},
	{
		name: "the anchor is the newest before the window", policy: "RECOVERY WINDOW OF 7 DAYS", backups: "04 11 15 18",
		anchor: "11", firstValid: "11", from: 11, want: "18=VALID 15=VALID 11=VALID 04=OBSOLETE",
	},
	{
		name: "the window begins at noon", policy: "RECOVERY WINDOW OF 7 DAYS", backups: "12 13 14",
		anchor: "13", firstValid: "13", from: 13, want: "14=VALID 13=VALID 12=OBSOLETE",
	},
	{
		name: "weeks", policy: "RECOVERY WINDOW OF 1 WEEK", backups: "04 11 15",
		anchor: "11", firstValid: "11", from: 11, want: "15=VALID 11=VALID 04=OBSOLETE",
	},
	{
		name: "no anchor yet", policy: "RECOVERY WINDOW OF 1 MONTH", backups: "04 11 15", firstValid: "04", from: 4,
		want: "15=VALID 11=VALID 04=VALID",
	},
	{
		name: "an incomplete backup is no anchor", policy: "RECOVERY WINDOW OF 7 DAYS", backups: "02 04 11:failed 12:waiting 18",
		anchor: "04", firstValid: "04", from: 4, want: "18=VALID 12=- 11=- 04=VALID 02=OBSOLETE",
	},
	{
		name: "a window of nothing keeps the newest", policy: "RECOVERY WINDOW OF 0 DAYS", backups: "11 18",
		anchor: "18", firstValid: "18", from: 18, want: "18=VALID 11=OBSOLETE",
	},
	{
		name: "the minimum protects older ones", policy: "RECOVERY WINDOW OF 7 DAYS", minimum: 3, backups: "02 04 11 18",
		anchor: "11", firstValid: "04", from: 4, want: "18=VALID 11=VALID 04=OBSOLETE* 02=OBSOLETE", warnings: 1,
	},
	{
		name: "the minimum counts kept ones", policy: "RECOVERY WINDOW OF 7 DAYS", minimum: 4, backups: "02 03 04:full 11 18",
		anchor: "11", firstValid: "03", from: 3, want: "18=VALID 11=VALID 04=KEEP:FULL 03=OBSOLETE* 02=OBSOLETE", warnings: 2,
	},
	{
		name: "kept behind the window", policy: "RECOVERY WINDOW OF 7 DAYS", backups: "02:standalone 04:full 11 18",
		anchor: "11", firstValid: "02", from: 4, want: "18=VALID 11=VALID 04=KEEP:FULL 02=KEEP:STANDALONE",
	},
	{
		name: "a kept anchor", policy: "RECOVERY WINDOW OF 7 DAYS", backups: "04 11:full 18:standalone",
		anchor: "11", firstValid: "11", from: 11, want: "18=KEEP:STANDALONE 11=KEEP:FULL 04=OBSOLETE",
	},
	{
		name: "children inside and outside the window", policy: "RECOVERY WINDOW OF 7 DAYS", backups: "04 05.04 11 12.11 18 19.18",
		anchor: "11", firstValid: "11", from: 11, want: "19=VALID 18=VALID 12=VALID 11=VALID 05=OBSOLETE 04=OBSOLETE",
	},
	{
		name: "children younger than the window do not save an old root", policy: "RECOVERY WINDOW OF 7 DAYS", backups: "04 11 19.04",
		anchor: "11", firstValid: "11", from: 11, want: "19=OBSOLETE 11=VALID 04=OBSOLETE",
	},
	{
		name: "children of standalone roots before, at and after the anchor", policy: "RECOVERY WINDOW OF 7 DAYS",
		backups: "04:standalone 05.04 11:standalone 12.11 18:standalone 19.18",
		anchor:  "11", firstValid: "04",
		want: "19=VALID 18=KEEP:STANDALONE 12=OBSOLETE 11=KEEP:STANDALONE 05=OBSOLETE 04=KEEP:STANDALONE",
	},
	{
		name: "children of a root kept in full behind the window", policy: "RECOVERY WINDOW OF 7 DAYS", backups: "04:full 05.04 11",
		anchor: "11", firstValid: "04", from: 4, want: "11=VALID 05=VALID 04=KEEP:FULL",
	},
	{
		name: "potentially obsolete children", policy: "RECOVERY WINDOW OF 7 DAYS", minimum: 2, backups: "04 05.04 11",
		anchor: "11", firstValid: "04", from: 4, want: "11=VALID 05=OBSOLETE* 04=OBSOLETE*", warnings: 1,
	},
	{
		name: "an unknown end is no anchor", policy: "RECOVERY WINDOW OF 7 DAYS", backups: "02 04 11:noend 18",
		anchor: "04", firstValid: "04", from: 4, want: "18=VALID 11=VALID 04=VALID 02=OBSOLETE", warnings: 1,
	},
	{
		name: "an unknown end behind the anchor", policy: "RECOVERY WINDOW OF 7 DAYS", backups: "02:noend 11 18",
		anchor: "11", firstValid: "11", from: 11, want: "18=VALID 11=VALID 02=OBSOLETE",
	},
	// Deletes that were interrupted
	{
		name: "a doomed one does not count and goes", policy: "REDUNDANCY 2", backups: "04 11 18:doomed", firstValid: "04", from: 4,
		want: "18=OBSOLETE 11=VALID 04=VALID",
	},
	{
		name: "a doomed one takes along what depends on it", policy: "REDUNDANCY 2", backups: "04:doomed 05.04 06.05 11.99 18", firstValid: "18",
		from: 18, want: "18=VALID 11=- 06=OBSOLETE 05=OBSOLETE 04=OBSOLETE", warnings: 1,
	},
	{
		name: "a doomed one that is kept stays", policy: "REDUNDANCY 1", backups: "04:doomed:full 18", firstValid: "04", from: 4,
		want: "18=VALID 04=KEEP:FULL",
	},
	{
		name: "a doomed one stays while a backup that depends on it is taken", policy: "REDUNDANCY 1", backups: "04:doomed 11.04:running 18",
		firstValid: "18", from: 18, want: "18=VALID 11=- 04=-",
	},
	{
		name: "a doomed one goes without a policy", policy: "", backups: "04:doomed 18", firstValid: "18", from: 18, want: "18=- 04=OBSOLETE",
	},
	// Chains that are needed
	{
		name: "a chain with a kept incremental stays", policy: "REDUNDANCY 1", backups: "04 05.04 06.05:full 18", firstValid: "04", from: 4,
		want: "18=VALID 06=KEEP:FULL 05=VALID 04=VALID",
	},
	// A wrong clock
	{
		name: "nothing expires while a backup is in the future", policy: "REDUNDANCY 1", backups: "04 11:full 18 25", firstValid: "04", from: 4,
		want: "25=VALID 18=VALID 11=KEEP:FULL 04=VALID", warnings: 1,
	},
	{
		name: "but what is doomed goes", policy: "RECOVERY WINDOW OF 1 DAY", backups: "04:doomed 11 18 25", firstValid: "11", from: 11,
		want: "25=VALID 18=VALID 11=VALID 04=OBSOLETE", anchor: "18", warnings: 1,
	},
	{
		name: "a failed one in the future proves nothing", policy: "REDUNDANCY 1", backups: "11 18 25:failed", firstValid: "18", from: 18,
		want: "25=- 18=VALID 11=OBSOLETE",
	},
	// No policy
	{
		name: "without a policy nothing is obsolete", policy: "", backups: "04:full 11 12.11 18:failed", firstValid: "04", from: 4,
		want: "18=- 12=- 11=- 04=-",
	},
}

func TestRetention(t *testing.T) {
	for _, c := range retentionCases {
		t.Run(c.name, func(t *testing.T) {
			r := evaluate(t, c.policy, c.backups, c.minimum)
			if got := labels(r); got != c.want {
				t.Errorf("\ngot  %s\nwant %s", got, c.want)
			}
			if r.Anchor != c.anchor || r.FirstValid != c.firstValid || len(r.Warnings) != c.warnings {
				t.Errorf("anchor %q, first valid %q, warnings %q", r.Anchor, r.FirstValid, r.Warnings)
			}
			var from time.Time
			if c.from > 0 {
				from = time.Date(2026, 1, c.from, 3, 0, 0, 0, time.UTC)
			}
			if !r.RecoverableFrom.Equal(from) {
				t.Errorf("recoverable from %s", r.RecoverableFrom)
			}
		})
	}
}

func TestReasons(t *testing.T) {
	reasons := func(policy, backups string, minimum int) map[string]string {
		m := make(map[string]string)
		for _, v := range evaluate(t, policy, backups, minimum).Verdicts {
			m[v.ID] = v.Reason
		}
		return m
	}
	want := map[string]string{
		"18": "it is number 1, from the newest, of the 2 backups to be kept",
		"15": "it is not complete, so the policy neither counts nor removes it",
		"11": "it is kept in full until somebody releases it",
		"12": "it depends on 11, which is kept in full",
		"04": "2 newer backups satisfy REDUNDANCY 2",
		"05": "it depends on 04, of which this is true: 2 newer backups satisfy REDUNDANCY 2",
		"03": "it is kept as standalone until somebody releases it",
		"06": "it depends on 03, which is kept as standalone, and the policy does not need it",
		"07": "the backup that it depends on is missing",
	}
	if diff := cmp.Diff(want, reasons("REDUNDANCY 2", "18 15:failed 11:full 12.11 04 05.04 03:standalone 06.03 07.01", 0)); diff != "" {
		t.Error(diff)
	}
	want = map[string]string{
		"18": "it ended within the recovery window",
		"11": "recovery to the beginning of the recovery window starts from it",
		"04": "the recovery window begins after it, but minimum_redundancy 3 needs it",
		"03": "RECOVERY WINDOW OF 7 DAYS needs nothing older than 11",
	}
	if diff := cmp.Diff(want, reasons("RECOVERY WINDOW OF 7 DAYS", "18 11 04 03", 3)); diff != "" {
		t.Error(diff)
	}
}

func TestObsoleteListsOldestFirst(t *testing.T) {
	r := evaluate(t, "REDUNDANCY 1", "04 05.04 11 18", 0)
	if diff := cmp.Diff([]string{"04", "05", "11"}, r.Obsolete()); diff != "" {
		t.Error(diff)
	}
	if v := r.Of("11"); v.Label != Obsolete {
		t.Errorf("%+v", v)
	}
	if v := r.Of("nobody"); v.Label != Undecided || v.ID != "nobody" {
		t.Errorf("%+v", v)
	}
}

func TestCheckDelete(t *testing.T) {
	for _, c := range []struct {
		backups, id string
		minimum     int
		want        string
	}{
		{"11 18", "11", 0, ""},
		{"11 18", "11", 1, ""},
		{"11 18", "11", 2, "backup 11 cannot be deleted: minimum_redundancy is 2 and there are 2 backups that count"},
		{"11 18", "11", 5, "backup 11 cannot be deleted: minimum_redundancy is 5 and there are 2 backups that count"},
		{"11", "11", 0, ""},
		{"11:failed 18", "11", 9, ""},
		{"11 12.11", "12", 9, ""},
		{"11 12.11 18:waiting", "11", 1, "backup 11 cannot be deleted: minimum_redundancy is 1 and there are 1 backups that count"},
		{"11:full 18", "11", 0, "backup 11 cannot be deleted: it is kept (full); release it first"},
		{"11:standalone:failed 18", "11", 0, "backup 11 cannot be deleted: it is kept (standalone); release it first"},
	} {
		got := ""
		if err := CheckDelete(c.id, parse(t, c.backups), c.minimum); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s of %q, minimum %d: %q, want %q", c.id, c.backups, c.minimum, got, c.want)
		}
	}
	var kept *KeptError
	var minimum *MinimumRedundancyError
	if err := CheckDelete("11", parse(t, "11:full"), 0); !errors.As(err, &kept) || kept.Keep != KeepFull {
		t.Error(err)
	}
	if err := CheckDelete("11", parse(t, "11"), 3); !errors.As(err, &minimum) || minimum.Current != 1 {
		t.Error(err)
	}
}

// randomBackups makes a catalog with everything that can occur, including broken chains.
func randomBackups(random *rand.Rand) []Backup {
	var backups []Backup
	for i := range random.IntN(14) {
		b := Backup{ID: fmt.Sprintf("%02d", i), Done: random.IntN(5) > 0}
		b.EndTime = now.Add(-time.Duration(random.IntN(40*24)) * time.Hour)
		switch {
		case i > 0 && random.IntN(3) == 0:
			b.Parent = fmt.Sprintf("%02d", random.IntN(i))
			b.InProgress = !b.Done && random.IntN(2) == 0
			if random.IntN(12) == 0 {
				b.Keep = KeepFull
			}
		case random.IntN(4) == 0:
			b.Keep = []Keep{KeepFull, KeepStandalone}[random.IntN(2)]
		}
		if random.IntN(15) == 0 {
			b.EndTime = time.Time{}
		}
		b.Doomed = random.IntN(10) == 0
		backups = append(backups, b)
	}
	if len(backups) > 3 && random.IntN(4) == 0 {
		i := random.IntN(len(backups))
		backups = append(backups[:i], backups[i+1:]...)
	}
	return backups
}

// TestRetentionNeverLeavesTooLittle checks the invariants of the package documentation on many catalogs.
func TestRetentionNeverLeavesTooLittle(t *testing.T) {
	random := rand.New(rand.NewPCG(20260120, 1))
	for range 20_000 {
		backups := randomBackups(random)
		minimum := random.IntN(5)
		policy := Policy{Kind: Redundancy, N: random.IntN(5)}
		if random.IntN(2) == 0 {
			policy = Policy{Kind: RecoveryWindow, N: random.IntN(30), Unit: Days}
		}
		r := Evaluate(Input{Policy: policy, Backups: backups, MinimumRedundancy: minimum, Now: now})
		if fault := checkInvariants(r, policy, backups, minimum); fault != "" {
			t.Fatalf("%s\npolicy %s, minimum %d\nbackups %+v\nverdicts %s", fault, policy, minimum, backups, labels(r))
		}
	}
}

// expires tells whether the policy lets something go.
func expires(r *Report) bool {
	return slices.ContainsFunc(r.Verdicts, func(v Verdict) bool {
		return v.Label == Obsolete && !strings.Contains(v.Reason, "delete began")
	})
}

func checkInvariants(r *Report, policy Policy, backups []Backup, minimum int) string {
	if len(r.Verdicts) != len(backups) {
		return "not every backup has a verdict"
	}
	byID := make(map[string]Backup)
	newest := ""
	remaining, total := 0, 0
	for _, b := range backups {
		byID[b.ID] = b
		label := r.Of(b.ID).Label
		switch {
		case label == Obsolete && b.Keep != KeepNone:
			return "a kept backup is obsolete: " + b.ID
		case label == Obsolete && !b.Done && !b.Doomed && b.Parent == "":
			return "an incomplete backup is obsolete: " + b.ID
		case label == Obsolete && b.InProgress:
			return "a running backup is obsolete: " + b.ID
		case r.Of(b.ID).Reason == "":
			return "no reason for " + b.ID
		}
		if b.Done && b.Parent == "" && (!b.Doomed || b.Keep != KeepNone) {
			newest = max(newest, b.ID)
			total++
			if label != Obsolete {
				remaining++
			}
		}
	}
	required := max(minimum, 1)
	if policy.Kind == Redundancy {
		required = max(required, policy.N)
	}
	switch {
	case newest != "" && r.Of(newest).Label == Obsolete:
		return "the newest backup is obsolete"
	case remaining < min(required, total):
		return fmt.Sprintf("%d of %d backups remain, %d are required", remaining, total, required)
	case r.Anchor != "" && r.Of(r.Anchor).Label == Obsolete:
		return "the anchor is obsolete"
	case policy.Kind == RecoveryWindow && r.Anchor == "" && expires(r):
		return "something is obsolete without an anchor"
	}
	// Whoever needs a backup keeps it: a valid incremental backup has no obsolete ancestor.
	for _, b := range backups {
		if label := r.Of(b.ID).Label; label == Obsolete || label == Undecided && !b.InProgress {
			continue
		}
		for steps, parent := 0, b.Parent; parent != "" && steps < len(backups); steps++ {
			if ancestor, ok := byID[parent]; ok && r.Of(ancestor.ID).Label == Obsolete {
				return fmt.Sprintf("%s needs %s, which is obsolete", b.ID, parent)
			}
			parent = byID[parent].Parent
		}
	}
	return ""
}
