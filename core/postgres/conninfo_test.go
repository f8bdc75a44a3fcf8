package postgres

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/core/redact"
)

func TestParseConninfoReadsBothForms(t *testing.T) {
	for _, test := range []struct {
		in   string
		want map[string]string
	}{
		{"", map[string]string{}},
		{"host=pg1 user=barman", map[string]string{"host": "pg1", "user": "barman"}},
		{"  host = pg1\tport=5433 ", map[string]string{"host": "pg1", "port": "5433"}},
		{`password='it''s'`, nil},
		{`password='it\'s a \\ secret' user=b`, map[string]string{"password": `it's a \ secret`, "user": "b"}},
		{`password=a\ b`, map[string]string{"password": "a b"}},
		{"options='' host=h", map[string]string{"options": "", "host": "h"}},
		{"application_name=a=b", map[string]string{"application_name": "a=b"}},
		{"postgresql://", map[string]string{}},
		{"postgres://barman@pg1/postgres", map[string]string{"user": "barman", "host": "pg1", "dbname": "postgres"}},
		{
			"postgresql://barman:s%40c%3Aret@pg1:5433/db?sslmode=require&application_name=a%20b",
			map[string]string{
				"user": "barman", "password": "s@c:ret", "host": "pg1", "port": "5433", "dbname": "db",
				"sslmode": "require", "application_name": "a b",
			},
		},
		{"postgresql://a:5432,[::1]:5433/db", map[string]string{"host": "a,::1", "port": "5432,5433", "dbname": "db"}},
		{"postgresql:///db?host=%2Frun%2Fpostgresql", map[string]string{"dbname": "db", "host": "/run/postgresql"}},
		{"postgresql://%2Frun%2Fpostgresql/db", map[string]string{"host": "/run/postgresql", "dbname": "db"}},
		{"postgresql://h/db?ssl=true", map[string]string{"host": "h", "dbname": "db", "sslmode": "require"}},
		{"host", nil},
		{"host=a b c=d", nil},
		{"host='a", nil},
		{"postgresql://u:%zz@h/db", nil},
		{"postgresql://[::1/db", nil},
		{"postgresql://h/db?nothing", nil},
		{"host=a\x00b", nil},
	} {
		got, err := ParseConninfo(test.in)
		if test.want == nil {
			if !errors.Is(err, ErrConninfo) {
				t.Errorf("%q: error %v, want ErrConninfo", test.in, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", test.in, err)
			continue
		}
		if diff := cmp.Diff(test.want, got.params); diff != "" {
			t.Errorf("%q (-want +got):\n%s", test.in, diff)
		}
	}
}

func TestConninfoDerivedStrings(t *testing.T) {
	info := mustParse(t, "postgresql://barman:hidden%20word@pg1/postgres")
	dsn, env := info.Streaming().ForTool("barman_streaming_backup")
	want := `application_name=barman_streaming_backup dbname=replication host=pg1 options=-cdatestyle=iso replication=true user=barman`
	if dsn != want {
		t.Errorf("dsn for tools:\n got %s\nwant %s", dsn, want)
	}
	if diff := cmp.Diff([]string{"PGPASSWORD=hidden word"}, env); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	if got := info.String(); got != "dbname=postgres host=pg1 password=*REDACTED* user=barman" {
		t.Errorf("String() = %s", got)
	}
	if info.Has("replication") {
		t.Error("Streaming changed its receiver")
	}
	if dsn, _ := mustParse(t, "application_name='my app'").ForTool("x"); dsn != `application_name='my app' options=-csearch_path=` {
		t.Errorf("dsn with its own name: %s", dsn)
	}
}

func TestRedactHidesPasswordsInAnyText(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"host=a password=secret user=b", "host=a password=*REDACTED* user=b"},
		{`password = 'se cr\'et' user=b`, `password = *REDACTED* user=b`},
		{`password='never closed`, `password=*REDACTED*`},
		{`password=a\ b user=c`, `password=*REDACTED* user=c`},
		{"see postgresql://u:se@cret@h:5432/db!", "see postgresql://u:*REDACTED*@h:5432/db!"},
		{"postgres://h/db?user=u&password=x&sslmode=require", "postgres://h/db?user=u&password=*REDACTED*"},
		{"sslpassword=x", "sslpassword=*REDACTED*"},
		{"nothing to hide", "nothing to hide"},
		{"postgresql://u@h/db", "postgresql://u@h/db"},
	} {
		if got := redact.Text(test.in); got != test.want {
			t.Errorf("redact.Text(%q) = %q, want %q", test.in, got, test.want)
		}
	}
}

func FuzzConninfoRoundTrip(f *testing.F) {
	for _, seed := range []string{
		"host=a password='x y'", `a='\\' b=\'`, "postgresql://u:p@h:1,i:2/d?x=y", "a=", " = ", "a= b", "postgres://@:/?=",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		first, err := ParseConninfo(text)
		if err != nil {
			return
		}
		for key := range first.params {
			// A keyword that only a URI can spell cannot be written in the other form.
			if key == "" || strings.ContainsAny(key, blanks+"='\\") {
				return
			}
		}
		second, err := ParseConninfo(first.dsn())
		if err != nil {
			t.Fatalf("%q → %q: %v", text, first.dsn(), err)
		}
		if diff := cmp.Diff(first.params, second.params); diff != "" {
			t.Errorf("%q → %q (-first +second):\n%s", text, first.dsn(), diff)
		}
		if secret := first.Get("password"); len(secret) > 12 && strings.Contains(first.String(), secret) &&
			strings.Count(first.dsn(), secret) == 1 {
			t.Errorf("%q shows its password: %s", text, first)
		}
	})
}

func mustParse(t *testing.T, text string) Conninfo {
	t.Helper()
	info, err := ParseConninfo(text)
	if err != nil {
		t.Fatal(err)
	}
	return info
}
