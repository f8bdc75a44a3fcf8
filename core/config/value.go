package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/barman-go/barman/core/redact"
)

// Set is the value of a ChoiceSet option: lower-case words, sorted, without duplicates.
type Set []string

// Has tells whether the set holds a word.
func (s Set) Has(word string) bool { return slices.Contains(s, word) }

// With returns the set with one more word.
func (s Set) With(word string) Set {
	if s.Has(word) {
		return s
	}
	out := append(slices.Clone(s), word)
	slices.Sort(out)
	return out
}

// String joins the words with commas.
func (s Set) String() string { return strings.Join(s, ",") }

// CompressionLevel is the value of compression_level: one of three names, or a number.
type CompressionLevel struct {
	// Name is "low", "medium" or "high", or empty when Number holds.
	Name   string
	Number int
}

// String returns the level as it is configured.
func (l CompressionLevel) String() string {
	if l.Name != "" {
		return l.Name
	}
	return strconv.Itoa(l.Number)
}

// Origin tells what supplied a value.
type Origin int

// Origins.
const (
	// FromDefault is the option table's default, or nothing at all.
	FromDefault Origin = iota
	// FromBarman is the barman block.
	FromBarman
	// FromServer is the server's own block.
	FromServer
	// FromModel is the active model.
	FromModel
	// FromRule is a rule of Barman that changed what was configured.
	FromRule
)

// Source tells where the effective value of an option comes from.
type Source struct {
	Origin Origin
	// Range is the attribute in its file; zero for FromDefault and FromRule.
	Range Range
	// Block is the block as one would write it: `server "main"`, `barman`, `model "main:dr"`.
	Block string
}

// String is "default", "rule", or FILE:LINE.
func (s Source) String() string {
	switch {
	case s.Origin == FromRule:
		return "rule"
	case s.Range.File == "":
		return "default"
	}
	return fmt.Sprintf("%s:%d", s.Range.File, s.Range.Line)
}

// File is the path of the file that supplied the value, or "default". This is what `diagnose --show-config-source` shows.
func (s Source) File() string {
	if s.Range.File == "" {
		return "default"
	}
	return s.Range.File
}

// Value is the effective value of one option.
type Value struct {
	Option *Option
	// Go has the type that belongs to Option.Kind, or is nil when the option is unset.
	Go     any
	Source Source
}

// IsSet tells whether the option has a value.
func (v Value) IsSet() bool { return v.Go != nil }

// Text is the value as Python Barman prints it: None, True, 30, "7 days, 0:00:00", BackupOptions({'concurrent_backup'}).
// Passwords are not masked; see Redacted.
func (v Value) Text() string {
	switch x := v.Go.(type) {
	case nil:
		return "None"
	case bool:
		if x {
			return "True"
		}
		return "False"
	case time.Duration:
		return pythonTimedelta(x)
	case Set:
		return pythonSet(v.Option.Name, x)
	case []string:
		if v.Option.Kind == PathList {
			return strings.Join(x, ":")
		}
		return pythonList(x)
	case map[string]int:
		return pythonDict(x)
	case string:
		if v.Option.Name == "wal_retention_policy" {
			return strings.ToUpper(x)
		}
		return x
	}
	return fmt.Sprint(v.Go)
}

// Redacted is Text with passwords masked.
func (v Value) Redacted() string { return redact.Text(v.Text()) }

// JSON is the value as Python Barman puts it into a JSON document: a native bool, int, string, list, map or nil; option
// sets and durations as text. Passwords are not masked, as there.
func (v Value) JSON() any {
	switch x := v.Go.(type) {
	case CompressionLevel:
		if x.Name == "" {
			return x.Number
		}
		return x.Name
	case nil, bool, int, int64, map[string]int:
		return x
	case []string:
		if v.Option.Kind == List {
			return x
		}
	}
	return v.Text()
}

// pythonTimedelta is str() of a timedelta.
func pythonTimedelta(d time.Duration) string {
	days := d / (24 * time.Hour)
	d -= days * 24 * time.Hour
	clock := fmt.Sprintf("%d:%02d:%02d", d/time.Hour, d/time.Minute%60, d/time.Second%60)
	switch days {
	case 0:
		return clock
	case 1:
		return "1 day, " + clock
	}
	return fmt.Sprintf("%d days, %s", days, clock)
}

// pythonSet is repr() of the class that Python Barman keeps an option set in: "backup_options" is BackupOptions.
func pythonSet(option string, s Set) string {
	var class strings.Builder
	for word := range strings.SplitSeq(option, "_") {
		class.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	if len(s) == 0 {
		return class.String() + "()"
	}
	return class.String() + "({'" + strings.Join(s, "', '") + "'})"
}

func pythonList(items []string) string {
	quoted := make([]string, len(items))
	for i, s := range items {
		quoted[i] = pythonQuote(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

func pythonDict(m map[string]int) string {
	var parts []string
	for _, k := range sortedKeys(m) {
		parts = append(parts, fmt.Sprintf("%s: %d", pythonQuote(k), m[k]))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// pythonQuote is repr() of a text without control characters.
func pythonQuote(s string) string {
	s = strings.ReplaceAll(s, `\`, `\\`)
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		return `"` + s + `"`
	}
	return "'" + strings.ReplaceAll(s, "'", `\'`) + "'"
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
