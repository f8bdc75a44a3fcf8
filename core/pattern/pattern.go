// Package pattern holds regular expressions that are compiled when they are first used. Barman is started thousands of
// times a day, by archive_command, cron and monitoring, and most runs use none of the expressions that its packages know:
// compiling them all would cost every run a tenth of its time.
package pattern

import (
	"regexp"
	"sync"
)

// Pattern is a regular expression. It may be used by several goroutines. Its methods are those of regexp.Regexp.
type Pattern struct {
	compiled func() *regexp.Regexp
}

// New makes a Pattern. An expression that cannot be compiled panics at its first use, so every pattern needs a test.
func New(expression string) *Pattern {
	return &Pattern{sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })}
}

// MatchString tells whether s has a match.
func (p *Pattern) MatchString(s string) bool { return p.compiled().MatchString(s) }

// FindString returns the leftmost match, or "".
func (p *Pattern) FindString(s string) string { return p.compiled().FindString(s) }

// FindStringIndex returns the place of the leftmost match, or nil.
func (p *Pattern) FindStringIndex(s string) []int { return p.compiled().FindStringIndex(s) }

// FindStringSubmatch returns the leftmost match and its groups, or nil.
func (p *Pattern) FindStringSubmatch(s string) []string { return p.compiled().FindStringSubmatch(s) }

// FindAllStringSubmatch returns up to n matches and their groups; all when n is negative.
func (p *Pattern) FindAllStringSubmatch(s string, n int) [][]string {
	return p.compiled().FindAllStringSubmatch(s, n)
}

// ReplaceAllString replaces all matches; $1 in repl stands for a group.
func (p *Pattern) ReplaceAllString(s, repl string) string {
	return p.compiled().ReplaceAllString(s, repl)
}

// ReplaceAllStringFunc replaces all matches by what repl returns for them.
func (p *Pattern) ReplaceAllStringFunc(s string, repl func(string) string) string {
	return p.compiled().ReplaceAllStringFunc(s, repl)
}
