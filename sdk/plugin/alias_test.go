package plugin

import "testing"

func TestExecutableIsThePluginOfItsFileName(t *testing.T) {
	for _, x := range []struct{ program, want string }{
		{"/usr/libexec/barman/plugins/barman-compress-gzip", "gzip"},
		{"/usr/libexec/barman/plugins/barman-compress-pigz", "pigz"},
		{"barman-compress-pigz", "pigz"},
		{"barman-hook-pigz", "gzip"}, // of another type
		{"/tmp/pigz", "gzip"},
		{"", "gzip"},
	} {
		if got := calledAs(x.program, TypeCompress, []string{"gzip", "pigz"}); got != x.want {
			t.Errorf("%q is %q, want %q", x.program, got, x.want)
		}
	}
}
