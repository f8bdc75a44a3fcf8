package config

import (
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/barman-go/barman/core/pattern"
)

// Parse reads the text form of a value; the result has the Go type that belongs to the option's Kind. The error is the
// reason, in the words of Barman 3.17 where it has words for it.
func (o *Option) Parse(text string) (any, error) {
	switch o.Kind {
	case Text, FilePath, Command, ConnInfo:
		return text, nil
	case Path:
		return parsePath(text)
	case PathList:
		return parsePathList(strings.Split(text, ":"))
	case Boolean:
		return ParseBool(text)
	case Integer:
		return o.parseInteger(text)
	case Interval:
		return ParseInterval(text)
	case Size:
		return ParseSize(text)
	case Choice:
		return o.parseChoice(text)
	case PluginName:
		return o.parsePluginName(text)
	case ChoiceSet:
		return o.parseSet(strings.Split(text, ","))
	case List:
		return parseList(strings.Split(text, ","))
	case Limits:
		return parseLimits(text)
	case Level:
		return ParseLevel(text)
	case Retention:
		return ParseRetention(text)
	case SlotName:
		return parseSlotName(text)
	case Hex:
		return parseHex(text)
	}
	return nil, fmt.Errorf("option %s has no grammar", o.Name)
}

// ParseList reads the list form of a value, for the kinds that have one.
func (o *Option) ParseList(items []string) (any, error) {
	switch o.Kind {
	case PathList:
		for _, item := range items {
			if strings.Contains(item, ":") {
				return nil, fmt.Errorf("a directory in %s cannot contain a colon: %q", o.Name, item)
			}
		}
		return parsePathList(items)
	case ChoiceSet:
		return o.parseSet(items)
	case List:
		return parseList(items)
	}
	return nil, errors.New("a list is not accepted here")
}

// ParseMap reads the map form of a value, for the kinds that have one. The values are the text forms of integers.
func (o *Option) ParseMap(items map[string]string) (any, error) {
	if o.Kind != Limits {
		return nil, errors.New("a map is not accepted here")
	}
	out := map[string]int{}
	for _, name := range sortedKeys(items) {
		n, err := ParseInt(items[name])
		if err != nil || name == "" {
			return nil, fmt.Errorf("Invalid rule %q", name+":"+items[name])
		}
		out[name] = n
	}
	return out, nil
}

// ParseBool reads true t yes 1 on, or false f no 0 off, in any case.
func ParseBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "true", "t", "yes", "1", "on":
		return true, nil
	case "false", "f", "no", "0", "off":
		return false, nil
	}
	return false, errors.New("Invalid boolean representation (use 'true' or 'false')")
}

var integerPattern = pattern.New(`^[+-]?[0-9]+(_[0-9]+)*$`)

// ParseInt reads a decimal integer as Python's int() does: blanks around it, a sign, and underscores between digits.
func ParseInt(text string) (int, error) {
	s := strings.TrimSpace(text)
	if !integerPattern.MatchString(s) {
		return 0, fmt.Errorf("invalid literal for int() with base 10: %s", pythonQuote(text))
	}
	n, err := strconv.Atoi(strings.ReplaceAll(s, "_", ""))
	if err != nil {
		return 0, fmt.Errorf("number out of range: %s", s)
	}
	return n, nil
}

func (o *Option) parseInteger(text string) (any, error) {
	n, err := ParseInt(text)
	if err != nil {
		return nil, err
	}
	if o.Name == "minimum_redundancy" && n < 0 {
		return nil, fmt.Errorf("Negative value of minimum_redundancy %q", text)
	}
	return n, nil
}

func (o *Option) parseChoice(text string) (any, error) {
	word := text
	if !o.ExactCase {
		word = strings.ToLower(text)
	}
	if o.Name == "log_level" {
		// A number is as good as a name.
		if n, err := ParseInt(text); err == nil {
			return strconv.Itoa(n), nil
		}
		word = strings.ToUpper(text)
	}
	if !slices.Contains(o.Choices, word) {
		return nil, o.choiceError()
	}
	return word, nil
}

// choiceError uses the wording that Barman has for the option.
func (o *Option) choiceError() error {
	last := len(o.Choices) - 1
	switch o.Name {
	case "create_slot", "reuse_backup":
		return fmt.Errorf("Invalid value (use %s or '%s')", choiceText(o.Choices[:last]), o.Choices[last])
	}
	return fmt.Errorf("Invalid value (must be one in: %s)", choiceText(o.Choices))
}

var pluginNamePattern = pattern.New(`^[a-z0-9][a-z0-9._-]*$`)

func (o *Option) parsePluginName(text string) (any, error) {
	word := strings.ToLower(text)
	if !pluginNamePattern.MatchString(word) {
		return nil, fmt.Errorf("Invalid value (must be one in: %s, or the name of a plugin)", choiceText(o.Choices))
	}
	return word, nil
}

func (o *Option) parseSet(items []string) (any, error) {
	set := Set{}
	for _, item := range items {
		word := strings.ToLower(strings.TrimSpace(item))
		if word == "" && len(items) == 1 {
			break
		}
		if !slices.Contains(o.Choices, word) {
			return nil, fmt.Errorf("unknown option %s (use %s)", pythonQuote(word), choiceText(o.Choices))
		}
		set = set.With(word)
	}
	if set.Has("concurrent_backup") && set.Has("exclusive_backup") {
		return nil, errors.New("cannot contain both 'exclusive_backup' and 'concurrent_backup'")
	}
	return set, nil
}

func parseList(items []string) (any, error) {
	if slices.Contains(items, "") {
		return nil, errors.New(pythonList(items))
	}
	return items, nil
}

// parseLimits reads "archive:4000, hot:8000": pairs separated by commas, blanks or both. Rules that cannot be read are
// left out; they come back in the error together with the good ones.
func parseLimits(text string) (any, error) {
	out := map[string]int{}
	var bad []string
	for _, rule := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' || r == '\r' }) {
		name, limit, found := strings.Cut(rule, ":")
		n, err := ParseInt(limit)
		if !found || name == "" || err != nil {
			bad = append(bad, rule)
			continue
		}
		out[name] = n
	}
	if len(bad) > 0 {
		return out, &badRulesError{rules: bad}
	}
	return out, nil
}

// badRulesError names the rules of tablespace_bandwidth_limit that were left out.
type badRulesError struct{ rules []string }

func (e *badRulesError) Error() string {
	return "rules are not of the form name:number: " + choiceText(e.rules)
}

// ParseLevel reads low, medium, high (any case) or an integer.
func ParseLevel(text string) (CompressionLevel, error) {
	switch word := strings.ToLower(strings.TrimSpace(text)); word {
	case "low", "medium", "high":
		return CompressionLevel{Name: word}, nil
	}
	n, err := ParseInt(text)
	if err != nil {
		return CompressionLevel{}, errors.New("must be 'low', 'medium', 'high' or an integer")
	}
	return CompressionLevel{Number: n}, nil
}

var slotPattern = pattern.New(`^[0-9a-z_]+$`)

func parseSlotName(text string) (any, error) {
	name := strings.ToLower(text)
	if !slotPattern.MatchString(name) {
		return nil, errors.New("Replication slot names may only contain lower case letters, numbers, and the underscore character.")
	}
	return name, nil
}

func parsePath(text string) (any, error) {
	if !filepath.IsAbs(text) {
		return nil, fmt.Errorf("Invalid value : %s (must be an absolute path)", pythonQuote(text))
	}
	if strings.ContainsRune(text, 0) {
		return nil, errors.New("a path cannot contain a zero byte")
	}
	return text, nil
}

func parsePathList(items []string) (any, error) {
	var out []string
	for _, item := range items {
		if item == "" {
			continue
		}
		if !filepath.IsAbs(item) {
			return nil, fmt.Errorf("Invalid value : %s (must be an absolute path)", pythonQuote(item))
		}
		out = append(out, item)
	}
	return out, nil
}

func parseHex(text string) (any, error) {
	if _, err := decodeMagic(text); err != nil {
		return nil, err
	}
	return text, nil
}

// decodeMagic reads custom_compression_magic. The first two characters are the prefix 0x.
func decodeMagic(text string) ([]byte, error) {
	if len(text) < 4 || !strings.EqualFold(text[:2], "0x") {
		return nil, fmt.Errorf("%s is not hexadecimal with the prefix 0x", pythonQuote(text))
	}
	magic, err := hex.DecodeString(text[2:])
	if err != nil {
		return nil, fmt.Errorf("%s is not hexadecimal with the prefix 0x", pythonQuote(text))
	}
	return magic, nil
}

// Magic returns custom_compression_magic as bytes; nil when it is unset.
func (s *Server) Magic() []byte {
	magic, err := decodeMagic(s.CustomCompressionMagic)
	if err != nil {
		return nil
	}
	return magic
}
