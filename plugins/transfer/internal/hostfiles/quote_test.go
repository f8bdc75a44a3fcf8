package hostfiles

import (
	"bytes"
	"os/exec"
	"testing"
)

// shells are the ones on this machine; every POSIX shell must read quote and escape the same way.
func shells(t testing.TB) []string {
	t.Helper()
	var found []string
	for _, name := range []string{"dash", "bash", "busybox", "ksh", "sh"} {
		if path, err := exec.LookPath(name); err == nil {
			found = append(found, path)
		}
	}
	return found
}

func shell(t testing.TB, path, script string) []byte {
	t.Helper()
	args := []string{"-s"}
	if bytes.HasSuffix([]byte(path), []byte("busybox")) {
		args = []string{"sh", "-s"}
	}
	command := exec.Command(path, args...)
	command.Stdin = bytes.NewReader([]byte(script))
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return out
}

func everyByte() []byte {
	var b []byte
	for c := range 256 {
		b = append(b, byte(c))
	}
	return b
}

func TestQuoteKeepsEveryByte(t *testing.T) {
	words := []string{"", "plain", "it's", "''", `\`, "a\nb\n", "$(id) `id` $HOME !!", "*?[a]", string(everyByte()[1:])}
	for _, path := range shells(t) {
		for _, word := range words {
			if got := shell(t, path, "printf '%s' "+quote(word)); string(got) != word {
				t.Errorf("%s: %q became %q", path, word, got)
			}
		}
	}
}

func TestEscapeKeepsEveryByte(t *testing.T) {
	contents := [][]byte{nil, []byte("port = 5432\n"), everyByte(), []byte(`\c \n %s \0101`), bytes.Repeat([]byte{0, '7'}, 5000)}
	for _, path := range shells(t) {
		for _, content := range contents {
			if got := shell(t, path, "printf '%b' "+quote(escape(content))); !bytes.Equal(got, content) {
				t.Errorf("%s: %d bytes became %d: %q", path, len(content), len(got), got[:min(len(got), 80)])
			}
		}
	}
}

func FuzzQuote(f *testing.F) {
	f.Add("it's $(x)")
	f.Fuzz(func(t *testing.T, word string) {
		if bytes.IndexByte([]byte(word), 0) >= 0 {
			t.Skip("a word of a shell cannot hold NUL")
		}
		if got := shell(t, "/bin/sh", "printf '%s' "+quote(word)); string(got) != word {
			t.Errorf("%q became %q", word, got)
		}
	})
}
