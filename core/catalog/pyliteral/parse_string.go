package pyliteral

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// str reads a string in either kind of quotes.
func (p *parser) str() (string, error) {
	mark := p.text[p.pos]
	p.pos++
	start := p.pos
	// Most strings hold no escape and need no copy.
	for p.pos < len(p.text) && p.text[p.pos] != '\\' && p.text[p.pos] != '\n' {
		if p.text[p.pos] == mark {
			p.pos++
			return p.text[start : p.pos-1], nil
		}
		p.pos++
	}
	var b strings.Builder
	b.WriteString(p.text[start:p.pos])
	for p.pos < len(p.text) {
		switch c := p.text[p.pos]; c {
		case mark:
			p.pos++
			return b.String(), nil
		case '\n':
			return "", p.fault("the line ends inside a string")
		case '\\':
			if err := p.escape(&b); err != nil {
				return "", err
			}
		default:
			b.WriteByte(c)
			p.pos++
		}
	}
	return "", p.fault("the text ends inside a string")
}

// simpleEscapes are the escapes of one letter and what they stand for.
var simpleEscapes = map[byte]string{
	'\\': "\\", '\'': "'", '"': "\"", 'n': "\n", 't': "\t", 'r': "\r",
	'a': "\a", 'b': "\b", 'f': "\f", 'v': "\v", '\n': "",
}

// escape reads one escape sequence, from its backslash on. Like Python, it leaves an unknown one as it is.
func (p *parser) escape(b *strings.Builder) error {
	if p.pos+1 >= len(p.text) {
		return p.fault("the text ends inside a string")
	}
	c := p.text[p.pos+1]
	if s, ok := simpleEscapes[c]; ok {
		b.WriteString(s)
		p.pos += 2
		return nil
	}
	switch {
	case c == 'x':
		return p.codePoint(b, 2, 2, 16)
	case c == 'u':
		return p.codePoint(b, 2, 4, 16)
	case c == 'U':
		return p.codePoint(b, 2, 8, 16)
	case c == 'N':
		return p.fault("characters by name are not supported")
	case c >= '0' && c <= '7':
		digits := 1
		for digits < 3 && p.pos+1+digits < len(p.text) && p.text[p.pos+1+digits] >= '0' && p.text[p.pos+1+digits] <= '7' {
			digits++
		}
		return p.codePoint(b, 1, digits, 8)
	}
	b.WriteByte('\\')
	p.pos++
	return nil
}

// codePoint reads the digits of an escape whose introduction is skip bytes long.
func (p *parser) codePoint(b *strings.Builder, skip, digits, base int) error {
	end := p.pos + skip + digits
	if end > len(p.text) {
		return p.fault("incomplete escape sequence")
	}
	n, err := strconv.ParseUint(p.text[p.pos+skip:end], base, 32)
	if err != nil || n > utf8.MaxRune {
		return p.fault("bad escape sequence %q", p.text[p.pos:end])
	}
	if n >= 0xdc80 && n <= 0xdcff {
		b.WriteByte(byte(n - 0xdc00)) // PEP 383: a byte that was not UTF-8
	} else {
		b.WriteRune(rune(n)) // another lone surrogate becomes U+FFFD: Go strings cannot hold it
	}
	p.pos = end
	return nil
}
