package main

import (
	"encoding/binary"
	"errors"
	"flag"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/tools/txtar"

	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/test/lab"
)

var update = flag.Bool("update", false, "rewrite the expected outputs in testdata/script")

// TestMain makes the test binary answer to the name barman, so that scripts run the very code that is tested.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"barman": func() {
		libexecDir = os.Getenv("BARMAN_TEST_PLUGINS") // what the linker sets in an installed barman
		main()
	}})
}

// TestScripts runs testdata/script, one script for a command or for what commands have in common.
func TestScripts(t *testing.T) {
	plugins := lab.BuildBinaries(t).Plugins
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", UpdateScripts: *update, RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("USER", me.Username)
			e.Setenv("HOME", filepath.Join(e.WorkDir, "user"))
			e.Setenv("TZ", "UTC")
			e.Setenv("BARMAN_TEST_PLUGINS", plugins)
			e.Setenv("BARMAN_CONFIG_FILE", filepath.Join(e.WorkDir, "barman.hcl"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"catalog": unpackCatalog, "exits": exits, "cmpline": compareLine, "mkwal": makeWAL, "lines": countLines,
		},
	})
}

// unpackCatalog is "catalog": it unpacks testdata/catalog.txtar, the configuration and catalog that most scripts begin
// with. Files that the script has under the same names win.
func unpackCatalog(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: catalog")
	}
	archive, err := txtar.ParseFile(filepath.Join(testDir, "testdata", "catalog.txtar"))
	ts.Check(err)
	for _, f := range archive.Files {
		path := ts.MkAbs(f.Name)
		if _, err := os.Lstat(path); err == nil {
			continue
		}
		ts.Check(os.MkdirAll(filepath.Dir(path), 0o755))
		ts.Check(os.WriteFile(path, f.Data, 0o600))
	}
	for _, dir := range []string{"incoming", "streaming", "errors"} {
		ts.Check(os.MkdirAll(ts.MkAbs(filepath.Join("home", "pg", dir)), 0o755))
	}
}

// testDir is where the tests of this package run; scripts have a directory of their own.
var testDir, _ = os.Getwd()

// exits is "exits CODE PROGRAM [ARG…]": it runs a program and wants an exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%s: %v", args[1], err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// compareLine is "cmpline FILE WANT": like cmpenv, for output that ends without a newline, as Barman's JSON does.
func compareLine(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: cmpline FILE WANT")
	}
	want := os.Expand(ts.ReadFile(args[1]), ts.Getenv)
	if diff := cmp.Diff(want, ts.ReadFile(args[0])+"\n"); diff != "" {
		ts.Fatalf("%s (-want +got)\n%s", args[0], diff)
	}
}

// countLines is "lines N FILE": it wants a number of lines.
func countLines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: lines N FILE")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := strings.Count(ts.ReadFile(args[1]), "\n"); got != want {
		ts.Fatalf("%s has %d lines, want %d", args[1], got, want)
	}
}

// makeWAL is "mkwal NAME FILE [SYSTEM_ID]": it writes a segment of 1 MiB whose first page says that it is NAME, written by
// PostgreSQL 15. The system identifier is that of the catalog unless another one is given.
func makeWAL(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: mkwal NAME FILE [SYSTEM_ID]")
	}
	const size = 1 << 20
	seg, err := wal.ParseSegment(args[0])
	ts.Check(err)
	id := uint64(7000000000000000001)
	if len(args) == 3 {
		id, err = strconv.ParseUint(args[2], 10, 64)
		ts.Check(err)
	}
	magic, _ := wal.PageMagic(15)
	le := binary.LittleEndian
	page := le.AppendUint16(nil, magic)
	page = le.AppendUint16(page, wal.InfoLongHeader)
	page = le.AppendUint32(page, uint32(seg.Timeline))
	page = le.AppendUint64(page, uint64(seg.StartLSN(size)))
	page = le.AppendUint64(page, 0) // nothing remains of an earlier record, and padding
	page = le.AppendUint64(page, id)
	page = le.AppendUint32(page, size)
	page = le.AppendUint32(page, 8192)
	path := ts.MkAbs(args[1])
	ts.Check(os.MkdirAll(filepath.Dir(path), 0o755))
	ts.Check(os.WriteFile(path, slices.Concat(page, make([]byte, size-len(page))), 0o600))
}
