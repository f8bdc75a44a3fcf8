package recovery

import (
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/barman-go/barman/sdk/toolexec"
)

// fakeTools makes a directory of programs that print a line.
func fakeTools(t *testing.T, say map[string]string) string {
	t.Helper()
	bin := t.TempDir()
	for name, line := range say {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\necho '"+line+"'\necho more\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return bin
}

// TestMissingToolsOfTheOtherHostAreToldBefore looks at another host on which this and that is missing.
func TestMissingToolsOfTheOtherHostAreToldBefore(t *testing.T) {
	rsync := "rsync  version 3.2.7  protocol version 31"
	for name, tc := range map[string]struct {
		tools       map[string]string
		way         Way
		compression string
		getWAL      bool
		want, warn  []string
	}{
		"all there":     {tools: map[string]string{"rsync": rsync, "tar": "tar (GNU tar) 1.34", "gzip": "gzip 1.12"}, way: UnpackThere, compression: "gzip"},
		"none needed":   {tools: map[string]string{"rsync": rsync, "tar": "tar (GNU tar) 1.34"}, way: UnpackThere, compression: "none"},
		"unpacked here": {tools: map[string]string{"rsync": rsync}, way: UnpackStaged, compression: "zstd"},
		"nothing": {way: UnpackThere, compression: "zstd", want: []string{
			"rsync is needed on the other host to copy files, and was not found", "GNU tar is needed on the other host to unpack",
			"zstd is needed on the other host to unpack",
		}},
		"another tar": {
			tools: map[string]string{"rsync": rsync, "tar": "bsdtar 3.6.2"}, way: UnpackThere, compression: "none",
			want: []string{"GNU tar is needed on the other host"},
		},
		"old rsync": {
			tools: map[string]string{"rsync": "rsync  version 2.6.9  protocol version 29"},
			want:  []string{"rsync 2.6.9 on the other host is too old, 3.0.0 or later is needed to copy files"},
		},
		"rsync of another make": {tools: map[string]string{"rsync": "openrsync: protocol version 29"}},
		"get-wal":               {tools: map[string]string{"rsync": rsync}, getWAL: true, warn: []string{"barman-wal-restore is needed on the other host to fetch WAL"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := &Options{Remote: fakeSSH(t, "PATH="+fakeTools(t, tc.tools)), GetWAL: tc.getWAL}
			p := &Plan{Way: tc.way, format: tarFormats[tc.compression], Backup: testBackup(1, 150004), Found: &Found{}}
			facts, err := new(Restorer).askFacts(t.Context(), o.Remote, p.needs(o), 0)
			if err != nil {
				t.Fatal(err)
			}
			var there []need
			for _, n := range p.needs(o) {
				if n.there {
					there = append(there, n)
				}
			}
			p.checkNeeds(there, facts)
			if len(p.Problems) != len(tc.want) || len(p.Warnings) != len(tc.warn) {
				t.Fatalf("problems %v, warnings %q; want %q, %q", p.Problems, p.Warnings, tc.want, tc.warn)
			}
			for i, want := range tc.want {
				if !strings.HasPrefix(p.Problems[i].Summary, want) {
					t.Errorf("problem %q, want %q", p.Problems[i].Summary, want)
				}
			}
			for i, want := range tc.warn {
				if !strings.HasPrefix(p.Warnings[i], want) {
					t.Errorf("warning %q, want %q", p.Warnings[i], want)
				}
			}
		})
	}
}

// TestHostTellsWhoIsThereAndWhatIsInUse asks this host, which has a listener of the test.
func TestHostTellsWhoIsThereAndWhatIsInUse(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	p := &Plan{Backup: testBackup(1, 150004), Found: &Found{}, Destination: "/srv/pg", Port: port}
	r, o := new(Restorer), new(Options)
	if err := r.checkTools(t.Context(), o, p, r.askHere(t.Context(), o, p)); err != nil {
		t.Fatal(err)
	}
	if len(p.Problems) > 0 || p.Owner == "" || !p.PortInUse {
		t.Errorf("problems %v, owner %q, port in use %v", p.Problems, p.Owner, p.PortInUse)
	}
	if len(p.Tools) != 1 || p.Tools[0].Name != "rsync" || !p.Tools[0].Found || p.Tools[0].Version == "" {
		t.Errorf("tools %+v", p.Tools)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.checkTools(t.Context(), o, p, r.askHere(t.Context(), o, p)); err != nil || p.PortInUse {
		t.Errorf("port in use after the listener has gone (%v)", err)
	}
}

func TestWarningsOfTheHost(t *testing.T) {
	for name, tc := range map[string]struct {
		facts hostFacts
		want  string
	}{
		"nothing to say":    {hostFacts{user: "postgres", postgres: []string{"13.22", "15.14"}}, ""},
		"no PostgreSQL":     {hostFacts{user: "postgres"}, ""},
		"root":              {hostFacts{user: "root"}, "chown -R postgres '/srv/p g'"},
		"port in use":       {hostFacts{listening: true}, "Something listens on port 5432 on the other host"},
		"another major":     {hostFacts{postgres: []string{"13.22", "17.6"}}, "needs PostgreSQL 15, and on the other host there is only 13.22, 17.6"},
		"not the 15 of 150": {hostFacts{postgres: []string{"150.1"}}, "there is only 150.1"},
	} {
		p := &Plan{Backup: testBackup(1, 150004), Destination: "/srv/p g", Port: 5432}
		p.checkHost(&tc.facts, true)
		if got := strings.Join(p.Warnings, "\n"); (tc.want == "") != (got == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

// FuzzFacts feeds answers of hosts whose shell says more than was asked.
func FuzzFacts(f *testing.F) {
	f.Add("Welcome!\nbarman-fact\tuser\tpostgres\nbarman-fact\ttool rsync\trsync  version 3.2.7\r\nmore\nbarman-fact\tpostgres\tpostgres (PostgreSQL) 15.14\n")
	f.Add("barman-fact\t\nbarman-fact\ttool \t\nbarman-fact\tlistening\tyes")
	f.Fuzz(func(t *testing.T, answer string) {
		facts := parseFacts(answer)
		for _, said := range append(slices.Collect(maps.Values(facts.tools)), facts.postgres...) {
			version := versionIn(said)
			if toolexec.Older(version, version) || toolexec.Older(version, "3.0.0") && toolexec.Older("3.0.0", version) {
				t.Errorf("%q is older than itself", version)
			}
		}
	})
}
