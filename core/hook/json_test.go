package hook

import (
	"encoding/json"
	"testing"
	"unicode/utf8"
)

func FuzzPythonJSONIsReadBack(f *testing.F) {
	f.Add("target_time", "2025-01-01 10:00:00")
	f.Add("é\"\\", "\x00\x7f\n😀")
	f.Fuzz(func(t *testing.T, name, value string) {
		if !utf8.ValidString(name) || !utf8.ValidString(value) {
			t.Skip()
		}
		text := pythonJSON(map[string]any{name: value})
		for _, b := range []byte(text) {
			if b < ' ' || b > '~' {
				t.Fatalf("%q is not printable ASCII", text)
			}
		}
		var got map[string]string
		if err := json.Unmarshal([]byte(text), &got); err != nil || got[name] != value {
			t.Errorf("%s gives %q, %v; want %q", text, got, err, value)
		}
	})
}
