// Package schema describes the options of a plugin and reads their values.
//
// A plugin lists its options once:
//
//	schema.Schema{
//		{Name: "url", Type: schema.String, Required: true, Help: "Where to send the event."},
//		{Name: "timeout", Type: schema.Integer, Default: 10, Help: "Seconds to wait for an answer."},
//		{Name: "token", Type: schema.String, Sensitive: true, Help: "Sent as a bearer token."},
//	}
//
// Core checks a `config { }` block against it, with file and line in every message, fills in the defaults, and hands the
// plugin Values that are known to be complete and of the right type.
package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Type is the type of an option's value.
type Type int

// Types of options.
const (
	String Type = iota + 1
	Integer
	Number
	Bool
	StringList
	StringMap
)

// Attribute is one option.
type Attribute struct {
	// Name is lower-case words joined by "_".
	Name string
	Type Type
	// Required options have no default and must be given.
	Required bool
	// Default is a value of the Go type that belongs to Type (string, int, float64, bool, []string,
	// map[string]string), or nil.
	Default any
	// Allowed, for String, lists the only values accepted; empty accepts all.
	Allowed []string
	// Sensitive values are never logged or shown.
	Sensitive bool
	// Deprecated, if not empty, is the warning that using the option gives.
	Deprecated string
	// Help is one or two sentences.
	Help string
}

// Schema is all options of a plugin, in the order of its documentation.
type Schema []Attribute

// Values are the options of one instance: those given and the defaults of the others.
type Values map[string]any

// ParseValues reads the JSON object of an Open or Validate request. Integers keep all their digits.
func ParseValues(configJSON string) (Values, error) {
	if configJSON == "" {
		return Values{}, nil
	}
	dec := json.NewDecoder(bytes.NewReader([]byte(configJSON)))
	dec.UseNumber()
	v := Values{}
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("plugin configuration is not a JSON object: %w", err)
	}
	return v, nil
}

// Has tells whether the option was given or has a default.
func (v Values) Has(name string) bool { return v[name] != nil }

// String returns a String option, or "" when it has no value.
func (v Values) String(name string) string {
	s, _ := v[name].(string)
	return s
}

// Int returns an Integer option, or 0 when it has no value.
func (v Values) Int(name string) int {
	switch n := v[name].(type) {
	case json.Number:
		i, _ := n.Int64()
		return int(i)
	case int:
		return n
	case int64:
		return int(n)
	case float64:
		return int(n)
	}
	return 0
}

// Float returns a Number option, or 0 when it has no value.
func (v Values) Float(name string) float64 {
	switch n := v[name].(type) {
	case json.Number:
		f, _ := n.Float64()
		return f
	case float64:
		return n
	case int:
		return float64(n)
	}
	return 0
}

// Bool returns a Bool option, or false when it has no value.
func (v Values) Bool(name string) bool {
	b, _ := v[name].(bool)
	return b
}

// Strings returns a StringList option.
func (v Values) Strings(name string) []string {
	switch l := v[name].(type) {
	case []string:
		return l
	case []any:
		out := make([]string, 0, len(l))
		for _, e := range l {
			s, _ := e.(string)
			out = append(out, s)
		}
		return out
	}
	return nil
}

// StringMap returns a StringMap option.
func (v Values) StringMap(name string) map[string]string {
	switch m := v[name].(type) {
	case map[string]string:
		return m
	case map[string]any:
		out := make(map[string]string, len(m))
		for k, e := range m {
			out[k], _ = e.(string)
		}
		return out
	}
	return nil
}
