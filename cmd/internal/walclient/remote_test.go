package walclient

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestArgsAreThoseOfPythonsClients(t *testing.T) {
	r := Remote{Host: "backup", User: "barman"}
	want := []string{"-q", "-T", "barman@backup", "barman", "put-wal", "main"}
	if diff := cmp.Diff(want, r.Args("put-wal", "main")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	r.Port = 2222
	want = append([]string{"-p", "2222"}, want...)
	if diff := cmp.Diff(want, r.Args("put-wal", "main")); diff != "" {
		t.Errorf("with a port: (-want +got)\n%s", diff)
	}
}

func TestShellReadsQuotedTextAsOneWord(t *testing.T) {
	for _, text := range []string{"main", "it's", "a b", "$(touch x)", "`x`", "a\nb", "", "*", "/etc/barman.hcl", "~/x", "-x", "a;b"} {
		for name, quoted := range map[string]string{"Quote": Quote(text), "Word": Word(text)} {
			out, err := exec.Command("sh", "-c", "printf '%s|' "+quoted).Output()
			if err != nil || string(out) != text+"|" {
				t.Errorf("%s(%q) = %s: the shell reads %q (error %v)", name, text, quoted, out, err)
			}
		}
	}
	for _, plain := range []string{"main", "/etc/barman.conf", "pg-15_a.b"} {
		if Word(plain) != plain {
			t.Errorf("Word(%q) = %s; Python's clients send it without quotes", plain, Word(plain))
		}
	}
}

func TestNoExitCodeIsOneThatPostgreSQLTakesForABrokenCommand(t *testing.T) {
	for code := 1; code <= 255; code++ {
		got := Failure(code, "barman put-wal", 3)
		switch {
		case got.Code < 1 || got.Code > maxExit:
			t.Errorf("%d becomes %d", code, got.Code)
		case code == 255 && (got.Code != 3 || got.Text != "Connection problem with ssh"):
			t.Errorf("ssh's own code becomes %d, %q", got.Code, got.Text)
		case code <= maxExit && got.Code != code:
			t.Errorf("%d becomes %d", code, got.Code)
		case code != 255 && !strings.Contains(got.Text, "Remote 'barman put-wal' command has failed"):
			t.Errorf("%d says %q", code, got.Text)
		}
	}
}
