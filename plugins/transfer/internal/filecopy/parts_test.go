package filecopy

import (
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/toolexec"
	"github.com/barman-go/barman/sdk/transfer"
)

func TestParseEntry(t *testing.T) {
	when := time.Date(2026, 1, 7, 10, 0, 0, 0, time.UTC).Unix()
	cases := map[string]entry{
		"-rw-------          8192 2026/01/07 10:00:00 base/1/1259":     {"-rw-------", 8192, when, "base/1/1259"},
		"drwx------         4,096 2026/01/07 10:00:00 .":               {"drwx------", 4096, when, "."},
		"-rw-------+            0 2026/01/07 10:00:00  two  blanks ":   {"-rw-------", 0, when, " two  blanks "},
		`-rw-------  1099511627776 2026/01/07 10:00:00 a\#012b\#134#1`: {"-rw-------", 1 << 40, when, "a\nb\\#1"},
		"-rw-------             1 2026/01/07 10:00:00 \xff\xe9\t":      {"-rw-------", 1, when, "\xff\xe9\t"},
	}
	for line, want := range cases {
		got, err := parseEntry([]byte(line))
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v", line, got, err)
		}
	}
	for _, line := range []string{"", "Welcome to pg1", "-rw------- x 2026/01/07 10:00:00 f", "-rw------- 1 2026/01/07 f", "-rw------- 1 2026/01/07 10:00:00 "} {
		if got, err := parseEntry([]byte(line)); err == nil {
			t.Errorf("%q was read as %+v", line, got)
		}
	}
}

func FuzzParseEntry(f *testing.F) {
	f.Add([]byte("-rw-------          8192 2026/01/07 10:00:00 base/1/1259"))
	f.Add([]byte(`-rw------- 1 2026/01/07 10:00:00 \#`))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := parseEntry(line)
		if err == nil && (e.name == "" || len(e.name) > len(line)) {
			t.Errorf("%q gave the name %q", line, e.name)
		}
	})
}

func TestRemoteShellSurvivesRsyncsSplitting(t *testing.T) {
	got := remoteShell([]string{"ssh", "-o", "ProxyCommand=nc 'a' \"b\" %h", "postgres@pg1"})
	want := `'ssh' '-o' 'ProxyCommand=nc ''a'' "b" %h' 'postgres@pg1'`
	if got != want {
		t.Errorf("got %s", got)
	}
}

func TestVerdict(t *testing.T) {
	const src = "/pg/data"
	tail := "rsync error: some files/attrs were not transferred (see previous errors) (code 23) at main.c(1394) [sender=3.5.0]"
	cases := []struct {
		name  string
		exit  int
		lines []string
		code  string // empty: no error
	}{
		{"vanished, rsync 3.5", 23, []string{`rsync: [sender] link_stat "/pg/data/base/5/1" failed: No such file or directory (2)`, tail}, ""},
		{"vanished, rsync 3.0", 23, []string{`rsync: link_stat "/pg/data/base/5/1" failed: No such file or directory (2)`, tail}, ""},
		{"vanished while read", 23, []string{`rsync: read errors mapping "/pg/data/base/5/1": No data available (61)`, tail}, ""},
		{"directory vanished", 23, []string{`rsync: [sender] opendir "/pg/data/base/6" failed: No such file or directory (2)`, `file has vanished: "/pg/data/x"`, tail}, ""},
		{"root missing", 23, []string{`rsync: [sender] change_dir "/pg/data" failed: No such file or directory (2)`, tail}, diag.CodeNotFound},
		{"root missing as a file", 23, []string{`rsync: [sender] link_stat "/pg/data" failed: No such file or directory (2)`, tail}, diag.CodeNotFound},
		{"parent missing", 23, []string{`rsync: [sender] change_dir "/pg" failed: No such file or directory (2)`, tail}, diag.CodeNotFound},
		{"unreadable", 23, []string{`rsync: [sender] send_files failed to open "/pg/data/x": Permission denied (13)`, tail}, diag.CodeToolFailed},
		{"receiver lacks a directory", 23, []string{`rsync: [receiver] mkstemp "/b/.x" failed: No such file or directory (2)`, tail}, diag.CodeToolFailed},
		{"vanished and unreadable", 23, []string{`file has vanished: "/pg/data/x"`, `rsync: [sender] opendir "/pg/data/y" failed: Permission denied (13)`, tail}, diag.CodeToolFailed},
		{"full disk", 11, []string{`rsync: [receiver] write failed on "/b/x": No space left on device (28)`}, diag.CodeNoSpace},
		{"ssh", 255, []string{"ssh: connect to host pg1 port 22: Connection refused"}, diag.CodeConnectionFailed},
		{"broken stream", 12, []string{"rsync: connection unexpectedly closed (0 bytes received so far) [Receiver]"}, diag.CodeConnectionFailed},
		{"no rsync there", 127, []string{"sh: 1: rsync: not found"}, diag.CodeToolMissing},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			v := &verdict{source: src}
			for _, line := range c.lines {
				v.line(line)
			}
			err := v.judge(&toolexec.ExitError{Tool: "rsync", Code: c.exit, Stderr: c.lines}, "pgdata", true)
			if d := diag.FromError(err); d.Code != c.code || (err == nil) != (c.code == "") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestBandwidthIsATotal(t *testing.T) {
	plan := &transfer.Plan{BandwidthLimit: 20000}
	for _, c := range []struct{ plan, item, share, want int }{
		{0, 0, 4, 0}, {20000, 0, 1, 20000}, {20000, 0, 4, 5000}, {20000, 4000, 4, 1000}, {0, 4000, 1, 4000}, {2, 0, 4, 1},
	} {
		plan.BandwidthLimit = c.plan
		if got := bandwidth(plan, &transfer.Item{BandwidthLimit: c.item}, c.share); got != c.want {
			t.Errorf("%+v: got %d", c, got)
		}
	}
}

func TestNetworkCompressionIsForBothDirections(t *testing.T) {
	for direction, want := range map[transfer.Direction]bool{transfer.Fetch: true, transfer.Put: true, transfer.Local: false} {
		for _, on := range []bool{true, false} {
			plan := &transfer.Plan{Direction: direction, Remote: []string{"ssh", "pg"}, NetworkCompression: on}
			if got := slices.Contains(copying(plan, &transfer.Item{}, false, 1), "-z"); got != (on && want) {
				t.Errorf("direction %d, network compression %v: rsync -z is %v", direction, on, got)
			}
		}
	}
}

func TestCopyingNeverWritesInPlaceWithHardLinks(t *testing.T) {
	item := &transfer.Item{Reuse: transfer.ReuseLink, ReuseDirectory: "/previous"}
	args := strings.Join(copying(&transfer.Plan{Direction: transfer.Local}, item, true, 1), " ")
	if strings.Contains(args, "--inplace") || !strings.Contains(args, "--link-dest=/previous") {
		t.Error(args)
	}
}

func TestQueueHandsOutEverythingOnceAndLargestFirst(t *testing.T) {
	list, err := newSpool(filepath.Join(t.TempDir(), "list"))
	if err != nil {
		t.Fatal(err)
	}
	defer list.close()
	want := map[string]bool{}
	add := func(name string, size int64) {
		want[name] = true
		if err := list.add(name, size); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 5000 {
		add("small\n"+time.Duration(i).String(), 8192)
	}
	add("huge", 10<<30)
	add("big", 1<<30)
	if err := list.finish(); err != nil {
		t.Fatal(err)
	}
	largestFirst(list.units)
	q := newQueue(4)
	q.add(&itemState{}, list, false)
	first := true
	got := map[string]bool{}
	var costs []int64
	for j := q.take(); j != nil; j = q.take() {
		names, err := io.ReadAll(list.reader(j.units))
		if err != nil {
			t.Fatal(err)
		}
		for name := range strings.SplitSeq(strings.TrimSuffix(string(names), "\x00"), "\x00") {
			if got[name] {
				t.Errorf("%q was handed out twice", name)
			}
			got[name] = true
			if first && name != "huge" {
				t.Errorf("%q came first", name)
			}
			first = false
		}
		costs = append(costs, total(j.units).cost())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(costs) < 6 || costs[len(costs)-1] > 2*unitCost {
		t.Errorf("the last of %d jobs costs %d", len(costs), costs[len(costs)-1])
	}
}

func TestStartGateSpreadsStarts(t *testing.T) {
	g := newStartGate(2, time.Second)
	now := time.Now()
	var got []time.Duration
	for range 5 {
		got = append(got, g.reserve(now).Sub(now))
	}
	if diff := cmp.Diff([]time.Duration{0, 0, time.Second, time.Second, 2 * time.Second}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if at := g.reserve(now.Add(time.Hour)); !at.Equal(now.Add(time.Hour)) {
		t.Errorf("after a pause: %v", at)
	}
}

func TestRsyncVersion(t *testing.T) {
	for text, want := range map[string]string{
		"rsync  version 3.2.7  protocol version 31\n": "3.2.7",
		"rsync  version v3.3.0dev  protocol":          "3.3.0",
		"openrsync: protocol version 29":              "",
	} {
		if got := rsyncVersion([]byte(text)); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
	if !toolexec.Older("3.0.9", MinimumRsync) || toolexec.Older("3.1.0", MinimumRsync) || toolexec.Older("3.10", "3.2.1") {
		t.Error("versions are compared wrongly")
	}
}
