package hostfiles

import (
	"fmt"
	"strings"
)

// quote writes any bytes except NUL as one word of a POSIX shell. Inside single quotes nothing is special; a single quote
// is written by leaving the quotes.
func quote(word string) string {
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// escape writes any bytes as the argument of the shell's printf '%b', where \0ooo stands for one byte. The result holds
// letters, digits, blanks, backslashes and a few signs that no shell treats specially within single quotes.
func escape(content []byte) string {
	var b strings.Builder
	b.Grow(len(content) + len(content)/4)
	for _, c := range content {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte(" ./_-=#:,()", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, `\0%03o`, c)
		}
	}
	return b.String()
}
