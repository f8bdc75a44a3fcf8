package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

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
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("plugin configuration is more than one JSON object")
	}
	if v == nil {
		return nil, fmt.Errorf("plugin configuration is null, not a JSON object")
	}
	return v, nil
}

// JSON returns the object that ParseValues reads. Options without a value are left out.
func (v Values) JSON() (string, error) {
	given := make(Values, len(v))
	for name, value := range v {
		if value != nil {
			given[name] = value
		}
	}
	b, err := json.Marshal(map[string]any(given))
	if err != nil {
		return "", fmt.Errorf("plugin configuration cannot be written as JSON: %w", err)
	}
	return string(b), nil
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
	i, _ := asInt(v[name])
	return i
}

// Float returns a Number option, or 0 when it has no value.
func (v Values) Float(name string) float64 {
	f, _ := asFloat(v[name])
	return f
}

// Bool returns a Bool option, or false when it has no value.
func (v Values) Bool(name string) bool {
	b, _ := v[name].(bool)
	return b
}

// Strings returns a StringList option.
func (v Values) Strings(name string) []string {
	l, _ := asStrings(v[name])
	return l
}

// StringMap returns a StringMap option.
func (v Values) StringMap(name string) map[string]string {
	m, _ := asStringMap(v[name])
	return m
}
