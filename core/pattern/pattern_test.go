package pattern

import "testing"

func TestPatternMatchesLikeARegexp(t *testing.T) {
	p := New(`(\d+)-(\w+)`)
	if m := p.FindStringSubmatch("x 12-ab"); len(m) != 3 || m[1] != "12" || m[2] != "ab" {
		t.Errorf("FindStringSubmatch: %q", m)
	}
	if got := p.ReplaceAllString("1-a 2-b", "$2"); got != "a b" {
		t.Errorf("ReplaceAllString: %q", got)
	}
	if p.MatchString("none") || !p.MatchString("3-c") {
		t.Error("MatchString")
	}
}

func TestMistakesShowAtFirstUse(t *testing.T) {
	p := New(`(`)
	defer func() {
		if recover() == nil {
			t.Error("an expression that cannot be compiled was used")
		}
	}()
	p.MatchString("")
}
