package ini

import (
	"fmt"
	"strings"

	"github.com/barman-go/barman/core/pattern"
)

// file is one parsed INI file.
type file struct {
	path     string
	sections []*section // in order, without DEFAULT
	defaults *section
	// trailing are comments below the last option.
	trailing []string
}

// section holds the options of one [name]. Repeated sections are merged.
type section struct {
	name     string
	comments []string
	options  []*option // in order; a repeated option keeps its first place and takes the last value
}

// option is one key with its raw value.
type option struct {
	key, value string
	comments   []string
	file       string
	line       int
}

func (s *section) find(key string) *option {
	for _, o := range s.options {
		if o.key == key {
			return o
		}
	}
	return nil
}

// set adds or replaces an option.
func (s *section) set(o *option) {
	old := s.find(o.key)
	if old == nil {
		s.options = append(s.options, o)
		return
	}
	o.comments = append(old.comments, o.comments...)
	*old = *o
}

func (f *file) find(name string) *section {
	for _, s := range f.sections {
		if s.name == name {
			return s
		}
	}
	return nil
}

// syntaxError is a line that cannot be read.
type syntaxError struct {
	line int
	text string
}

func (e *syntaxError) Error() string { return e.text }

var header = pattern.New(`^\[(.+)\]`)

// parse reads a file as Python's ConfigParser does in its non-strict mode: "=" or ":" after the key, whole-line comments
// that start with "#" or ";", and indented lines that continue the value above.
func parse(path, text string) (*file, error) {
	p := parser{file: &file{path: path, defaults: &section{name: "DEFAULT"}}}
	text = strings.TrimPrefix(text, "\ufeff")
	for i, raw := range strings.Split(text, "\n") {
		if err := p.line(i+1, strings.TrimRight(raw, " \t\r\f\v")); err != nil {
			return nil, err
		}
	}
	p.flush()
	p.file.trailing = p.comments
	return p.file, nil
}

type parser struct {
	file     *file
	section  *section
	option   *option
	lines    []string // of the current option's value
	indent   int      // of the current option's key
	comments []string
}

func (p *parser) line(number int, raw string) error {
	text := strings.TrimLeft(raw, " \t\f\v")
	indent := len(raw) - len(text)
	switch {
	case text == "":
		if p.option != nil {
			p.lines = append(p.lines, "") // kept if the value goes on below
		}
		if len(p.comments) > 0 && p.section == nil {
			p.comments = append(p.comments, "")
		}
		return nil
	case text[0] == '#' || text[0] == ';':
		p.comments = append(p.comments, strings.TrimLeft(strings.TrimLeft(text, "#;"), " "))
		return nil
	case p.option != nil && indent > p.indent:
		p.lines = append(p.lines, text)
		return nil
	}
	p.flush()
	if m := header.FindStringSubmatch(text); m != nil {
		p.open(m[1])
		return nil
	}
	if p.section == nil {
		return &syntaxError{number, fmt.Sprintf("line %d stands before the first [section]", number)}
	}
	i := strings.IndexAny(text, "=:")
	if i < 0 {
		return &syntaxError{number, fmt.Sprintf("line %d has neither %q nor %q", number, "=", ":")}
	}
	key := strings.ToLower(strings.TrimSpace(text[:i]))
	if key == "" {
		return &syntaxError{number, fmt.Sprintf("line %d has no option name", number)}
	}
	p.option = &option{key: key, file: p.file.path, line: number, comments: p.comments}
	p.comments, p.indent = nil, indent
	p.lines = []string{strings.TrimSpace(text[i+1:])}
	return nil
}

// open starts a section, or goes on with an earlier one of the same name.
func (p *parser) open(name string) {
	if name == "DEFAULT" {
		p.section = p.file.defaults
	} else if p.section = p.file.find(name); p.section == nil {
		p.section = &section{name: name}
		p.file.sections = append(p.file.sections, p.section)
	}
	p.section.comments = append(p.section.comments, p.comments...)
	p.comments = nil
}

// flush ends the current option.
func (p *parser) flush() {
	if p.option == nil {
		return
	}
	p.option.value = strings.TrimRight(strings.Join(p.lines, "\n"), "\n")
	p.section.set(p.option)
	p.option, p.lines = nil, nil
}
