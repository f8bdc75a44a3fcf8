package pyliteral

import (
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every literal here is what Python 3 prints for the value beside it.
var reprs = []struct {
	literal string
	value   any
}{
	{"None", nil},
	{"True", true},
	{"False", false},
	{"0", int64(0)},
	{"-16387", int64(-16387)},
	{"9223372036854775807", int64(math.MaxInt64)},
	{"0.0", 0.0},
	{"1.5", 1.5},
	{"12.0", 12.0},
	{"1e-05", 1e-05},
	{"0.0001", 0.0001},
	{"0.00012", 0.00012},
	{"1e+16", 1e16},
	{"1234567890123456.0", 1234567890123456.0},
	{"1.2345678901234568e+16", 12345678901234568.0},
	{"1795337217.4619372", 1795337217.4619372},
	{"1735725600.0", 1735725600.0},
	{"-0.0", math.Copysign(0, -1)},
	{"5e-324", 5e-324},
	{"1.7976931348623157e+308", math.MaxFloat64},
	{"''", ""},
	{"'a b'", "a b"},
	{`"t'x"`, "t'x"},
	{`'say "hi"'`, `say "hi"`},
	{`'\'"'`, `'"`},
	{`'a\\b'`, `a\b`},
	{`'l1\nl2\tx\r'`, "l1\nl2\tx\r"},
	{`'\x00\x1b\x7f\x85\xa0\xad'`, "\x00\x1b\x7f\u0085\u00a0\u00ad"},
	{`'città 日本'`, "città 日本"},
	{`'\u2028\u200b\ue000'`, "\u2028\u200b\ue000"},
	{`'😀\U000e0001'`, "😀\U000e0001"},
	{`'\udcff\udc80x'`, "\xff\x80x"},
	{"[]", []any{}},
	{"()", Tuple{}},
	{"(1,)", Tuple{int64(1)}},
	{"{}", Dict{}},
	{"[1, 'a', None]", []any{int64(1), "a", nil}},
	{
		`[('tbs1', 16387, '/srv/tbs1'), ("t'x", 16388, '/srv/t b')]`,
		[]any{Tuple{"tbs1", int64(16387), "/srv/tbs1"}, Tuple{"t'x", int64(16388), "/srv/t b"}},
	},
	{
		"{'total_time': 1.5, 'copy_time_per_item': {'pgdata': 0.25}, 1: True}",
		Dict{{"total_time", 1.5}, {"copy_time_per_item", Dict{{"pgdata", 0.25}}}, {int64(1), true}},
	},
}

func TestFormatIsPythonRepr(t *testing.T) {
	for _, c := range reprs {
		got, err := Format(c.value)
		if err != nil || got != c.literal {
			t.Errorf("Format(%#v) = %s, %v; want %s", c.value, got, err, c.literal)
		}
	}
	if got, err := Format([]string{"a", "b'"}); err != nil || got != `['a', "b'"]` {
		t.Errorf("Format([]string) = %s, %v", got, err)
	}
	if got, err := Format(7); err != nil || got != "7" {
		t.Errorf("Format(int) = %s, %v", got, err)
	}
}

func TestParseReadsPythonRepr(t *testing.T) {
	for _, c := range reprs {
		got, err := Parse(c.literal)
		if err != nil {
			t.Errorf("Parse(%s): %v", c.literal, err)
		} else if diff := cmp.Diff(c.value, got); diff != "" {
			t.Errorf("Parse(%s) (-want +got):\n%s", c.literal, diff)
		}
	}
}

func TestParseAcceptsWhatPythonAcceptsButDoesNotPrint(t *testing.T) {
	for literal, want := range map[string]any{
		" [ 1 , 2 , ] ":       []any{int64(1), int64(2)},
		"( 'a' )":             "a",
		"u'tbs'":              "tbs",
		`'\q\101\0\a\u00e9'`:  "\\qA\x00\aé",
		"{ 'a' : 1 , }":       Dict{{"a", int64(1)}},
		"1.":                  1.0,
		".5":                  0.5,
		"1E3":                 1000.0,
		`"\""`:                `"`,
		"[None,True]":         []any{nil, true},
		`'\ud800'`:            "\ufffd",
		"1e-400":              0.0,
		"((1, 2), (3,), (4))": Tuple{Tuple{int64(1), int64(2)}, Tuple{int64(3)}, int64(4)},
	} {
		got, err := Parse(literal)
		if err != nil {
			t.Errorf("Parse(%s): %v", literal, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Parse(%s) (-want +got):\n%s", literal, diff)
		}
	}
}

func TestParseRefusesEverythingElseAndSaysWhere(t *testing.T) {
	for literal, offset := range map[string]int{
		"":                     0,
		"nope":                 0,
		"Nonesuch":             0,
		"'open":                5,
		"'a' 'b'":              4,
		"[1 2]":                3,
		"[,]":                  1,
		"{'a' 1}":              5,
		"{'a': 1 'b': 2}":      8,
		"(1, 2":                5,
		`'\x4'`:                1,
		`'\U00110000'`:         1,
		`'\N{BULLET}'`:         1,
		"99999999999999999999": 0,
		"1e999":                0,
		"1-2":                  1,
		"--1":                  0,
		"__import__('os')":     0,
		"'a\nb'":               2,
		"1e":                   0,
		`'\`:                   1,
	} {
		_, err := Parse(literal)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("Parse(%q) = %v, want a *SyntaxError", literal, err)
		} else if syntax.Offset != offset {
			t.Errorf("Parse(%q): offset %d (%v), want %d", literal, syntax.Offset, err, offset)
		}
	}
}

func TestFormatRefusesWhatPythonCouldNotRead(t *testing.T) {
	for _, v := range []any{math.Inf(1), math.NaN(), struct{}{}, []any{make(chan int)}, Dict{{"a", math.Inf(-1)}}} {
		if got, err := Format(v); err == nil {
			t.Errorf("Format(%#v) = %s, want an error", v, got)
		}
	}
}

func TestDictGetTakesTheLastOfEqualKeys(t *testing.T) {
	d := Dict{{"a", int64(1)}, {int64(2), "x"}, {"a", int64(3)}}
	if v, ok := d.Get("a"); !ok || v != int64(3) {
		t.Errorf("Get(a) = %v, %v", v, ok)
	}
	if _, ok := d.Get("b"); ok {
		t.Error("Get(b) found something")
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range reprs {
		f.Add(c.literal)
	}
	f.Add("[[[[[[]]]]]]")
	f.Fuzz(func(t *testing.T, text string) {
		v, err := Parse(text)
		if err != nil {
			return
		}
		literal, err := Format(v)
		if err != nil {
			t.Fatalf("Parse(%q) = %#v, which cannot be written: %v", text, v, err)
		}
		again, err := Parse(literal)
		if err != nil {
			t.Fatalf("Parse(Format(Parse(%q))): %v", text, err)
		}
		if diff := cmp.Diff(v, again); diff != "" {
			t.Fatalf("%q reads back differently from %q (-want +got):\n%s", text, literal, diff)
		}
	})
}

func FuzzQuote(f *testing.F) {
	f.Add("a'b\"\\\n\x00é\xff")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := Parse(Quote(s))
		if err != nil || got != s {
			t.Fatalf("Parse(Quote(%q)) = %q, %v", s, got, err)
		}
	})
}
