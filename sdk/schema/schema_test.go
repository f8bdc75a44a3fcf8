package schema

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/sdk/diag"
)

var options = Schema{
	{Name: "text", Type: String, Default: "a", Allowed: []string{"a", "b"}},
	{Name: "secret", Type: String, Sensitive: true, Allowed: []string{"x"}},
	{Name: "count", Type: Integer, Default: 1},
	{Name: "ratio", Type: Number},
	{Name: "on", Type: Bool},
	{Name: "list", Type: StringList},
	{Name: "map", Type: StringMap},
}

func TestCompleteChecksAndFillsIn(t *testing.T) {
	for _, c := range []struct {
		name string
		json string
		want Values
	}{
		{"nothing given", ``, Values{"text": "a", "count": 1}},
		{"null is not given", `{"text": null, "on": null}`, Values{"text": "a", "count": 1}},
		{
			"everything given", `{"text":"b","secret":"x","count":-9007199254740993,"ratio":2,"on":true,"list":["p"],"map":{"k":"v"}}`,
			Values{
				"text": "b", "secret": "x", "count": -9007199254740993, "ratio": 2.0, "on": true, "list": []string{"p"},
				"map": map[string]string{"k": "v"},
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			given, err := ParseValues(c.json)
			if err != nil {
				t.Fatal(err)
			}
			got, found := options.Complete(given)
			if len(found) > 0 {
				t.Error(found)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestCompleteRefuses(t *testing.T) {
	for given, want := range map[string]string{
		`{"text":"c"}`:        `option "text" is "c"; allowed are: a, b`,
		`{"text":1}`:          `option "text" must be of type string`,
		`{"count":1.5}`:       `option "count" must be of type integer`,
		`{"count":"1"}`:       `option "count" must be of type integer`,
		`{"ratio":"x"}`:       `option "ratio" must be of type number`,
		`{"on":"yes"}`:        `option "on" must be of type boolean`,
		`{"list":[1]}`:        `option "list" must be of type list of strings`,
		`{"list":"a"}`:        `option "list" must be of type list of strings`,
		`{"map":{"k":1}}`:     `option "map" must be of type map of strings`,
		`{"colour":"red"}`:    `unknown option "colour"`,
		`{"secret":"hunter"}`: `option "secret" has a value that is not allowed`,
	} {
		v, err := ParseValues(given)
		if err != nil {
			t.Fatal(err)
		}
		_, found := options.Complete(v)
		if len(found) != 1 || found[0].Summary != want || found[0].Code != diag.CodeInvalidOption || found[0].Severity != diag.Error {
			t.Errorf("%s: got %+v", given, found)
		}
		if strings.Contains(found.Err().Error(), "hunter") {
			t.Error("a secret is in the message")
		}
	}
}

func TestValuesThatAreNoObjectAreRefused(t *testing.T) {
	for _, text := range []string{`[]`, `"x"`, `{`, `{} {}`, `null`} {
		if v, err := ParseValues(text); err == nil {
			t.Errorf("%s gives %v", text, v)
		}
	}
}

func FuzzValuesSurviveJSON(f *testing.F) {
	f.Add(`{"text":"b","count":12345678901234567,"list":["a"],"map":{"k":"v"},"ratio":1e300}`)
	f.Fuzz(func(t *testing.T, text string) {
		v, err := ParseValues(text)
		if err != nil {
			return
		}
		want, found := options.Complete(v)
		if found.HasErrors() {
			return
		}
		out, err := want.JSON()
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid([]byte(out)) {
			t.Fatalf("not JSON: %s", out)
		}
		v, err = ParseValues(out)
		if err != nil {
			t.Fatal(err)
		}
		got, found := options.Complete(v)
		if d := cmp.Diff(want, got); d != "" || found.HasErrors() {
			t.Error(d, found)
		}
	})
}
