package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func countOptions(match func(*Option) bool) int {
	n := 0
	for _, o := range Options() {
		if match(o) {
			n++
		}
	}
	return n
}

// The counts are those of Barman 3.17, and one option of this program.
func TestTableIsComplete(t *testing.T) {
	for _, c := range []struct {
		what string
		want int
		got  int
	}{
		{"server options", 109 + 1, countOptions((*Option).IsServer)},
		{"server options refused in models", 27, countOptions(func(o *Option) bool { return o.IsServer() && !o.InModel })},
		{"options accepted in models", 82 + 1 + 1, countOptions(func(o *Option) bool { return o.allowedIn(blockModel) })},
		{"hook scripts", 20, countOptions((*Option).IsHook)},
		{"directories", 7, countOptions(func(o *Option) bool { return o.Area == AreaDirectories })},
		{"options accepted in the barman block", 109 + 1 + 8, countOptions(func(o *Option) bool { return o.allowedIn(blockBarman) && !o.Ignored })},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %d, want %d", c.what, c.got, c.want)
		}
	}
}

func TestOptionsThatAreNotInherited(t *testing.T) {
	want := strings.Fields(`active backup_directory basebackups_directory cluster conninfo description disabled errors_directory
		gcp_zone incoming_wals_directory keepalive_interval primary_checkpoint_timeout primary_conninfo snapshot_disks
		snapshot_instance snapshot_zone ssh_command streaming_conninfo streaming_wals_directory wal_conninfo
		wal_streaming_conninfo wals_directory`)
	var got []string
	for _, o := range Options() {
		if o.Scope == ScopeServer {
			got = append(got, o.Name)
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestRowsAreWellFormed(t *testing.T) {
	seen := map[string]bool{}
	for _, o := range Options() {
		if seen[o.Name] {
			t.Errorf("%s appears twice", o.Name)
		}
		seen[o.Name] = true
		if o.Scope == 0 || o.Kind == 0 || o.Help == "" || o.AppliesTo == "" || !slices.Contains(Areas(), o.Area) {
			t.Errorf("%s is incomplete: %+v", o.Name, *o)
		}
		for _, text := range []string{o.Default, o.Fallback} {
			if text == "" {
				continue
			}
			if _, err := o.Parse(text); err != nil {
				t.Errorf("%s: default %q: %v", o.Name, text, err)
			}
		}
	}
}

// goTypes are the types of Value.Go by kind, as the contract of Kind says.
var goTypes = map[Kind]reflect.Type{
	Boolean: reflect.TypeFor[bool](), Integer: reflect.TypeFor[int](), Interval: reflect.TypeFor[time.Duration](),
	Size: reflect.TypeFor[int64](), ChoiceSet: reflect.TypeFor[Set](), List: reflect.TypeFor[[]string](),
	PathList: reflect.TypeFor[[]string](), Limits: reflect.TypeFor[map[string]int](), Level: reflect.TypeFor[CompressionLevel](),
}

func TestServerHasOneFieldPerOption(t *testing.T) {
	fields := map[string]int{}
	checkFields(t, reflect.TypeFor[Server](), fields)
	checkFields(t, reflect.TypeFor[Global](), fields)
	for _, o := range Options() {
		want := 1
		if o.IsHook() || o.Ignored || o.Scope == ScopeModel {
			want = 0 // hooks are read with HookScript
		}
		if fields[o.Name] != want {
			t.Errorf("option %s has %d fields, want %d", o.Name, fields[o.Name], want)
		}
		delete(fields, o.Name)
	}
	for name := range fields {
		t.Errorf("field for %q, which is no option", name)
	}
}

func checkFields(t *testing.T, typ reflect.Type, fields map[string]int) {
	t.Helper()
	for f := range typ.Fields() {
		name, ok := f.Tag.Lookup("option")
		if !ok {
			continue
		}
		fields[name]++
		o, known := Lookup(name)
		if !known {
			continue
		}
		want := goTypes[o.Kind]
		if want == nil {
			want = reflect.TypeFor[string]()
		}
		got := f.Type
		if got.Kind() == reflect.Pointer {
			got = got.Elem()
			if o.Default != "" {
				t.Errorf("%s has a default and needs no pointer", name)
			}
		}
		if o.Unit == "seconds" && got == reflect.TypeFor[time.Duration]() {
			continue
		}
		if got != want {
			t.Errorf("field %s has type %s, option %s has %s", f.Name, got, name, want)
		}
	}
}
