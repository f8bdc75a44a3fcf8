package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/shlex"
	"golang.org/x/tools/txtar"

	"github.com/barman-go/barman/cmd/internal/argparse"
	"github.com/barman-go/barman/test/lab"
)

// A transcript is what a user sees: command lines and all that they print, on the screen and as JSON, with their exit codes.
//
//	# a comment, with an empty line above
//	% mkdir -p $WORK/new               a preparation for the shell, which prints nothing
//	$ barman list-backups pg
//	pg 20260109T100000 …               standard output; a backslash leads a line that looks like one of the others
//	! WARNING: …                       standard error
//	? 1                                the exit code, if it is not 0
//
// `go test ./cmd/barman -run Transcript -update` writes what the commands print now.
type transcript struct {
	path  string
	steps []step
}

// liveTranscript is played on a running server.
const liveTranscript = "live.txt"

// step is one line that is executed, and what stands around it.
type step struct {
	// comment is above the line; output below it, as it was written last.
	comment, line, output string
}

func readTranscript(t *testing.T, path string) *transcript {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tr := &transcript{path: path}
	comment := ""
	for line := range strings.Lines(string(text)) {
		switch {
		case strings.HasPrefix(line, "#"):
			if last := len(tr.steps) - 1; comment == "" && last >= 0 {
				above, found := strings.CutSuffix("\n"+tr.steps[last].output, "\n\n")
				if !found {
					t.Fatalf("%s: no empty line above %q", path, line)
				}
				comment, tr.steps[last].output = "\n", strings.TrimPrefix(above+"\n", "\n")
			}
			comment += line
		case strings.HasPrefix(line, "$ "), strings.HasPrefix(line, "% "):
			tr.steps = append(tr.steps, step{comment: comment, line: strings.TrimSuffix(line, "\n")})
			comment = ""
		case len(tr.steps) == 0 || comment != "":
			t.Fatalf("%s: %q belongs to no command", path, line)
		default:
			tr.steps[len(tr.steps)-1].output += line
		}
	}
	return tr
}

func (tr *transcript) text() string {
	var b strings.Builder
	for _, s := range tr.steps {
		b.WriteString(s.comment + s.line + "\n" + s.output)
	}
	return b.String()
}

// stage is where a transcript is played.
type stage struct {
	work string
	// places are names for the directories of this run.
	places *strings.Replacer
	// masks hide what differs from run to run.
	masks []mask
}

// newStage makes a directory with the catalog that most scripts begin with, and lets barman find it.
func newStage(t *testing.T, work string, files ...txtar.File) *stage {
	t.Helper()
	for _, f := range files {
		path := filepath.Join(work, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"WORK": work, "USER": me.Username, "HOME": filepath.Join(work, "user"), "LC_ALL": "C",
		"BARMAN_CONFIG_FILE": filepath.Join(work, "barman.hcl"),
	} {
		t.Setenv(name, value)
	}
	t.Chdir(work)
	return &stage{work: work, places: strings.NewReplacer(work, "$WORK", libexecDir, "$PLUGINS"), masks: hostMasks}
}

// play executes a step and returns what it prints.
func (st *stage) play(t *testing.T, s step) string {
	t.Helper()
	if command, found := strings.CutPrefix(s.line, "% "); found {
		if out, err := exec.CommandContext(t.Context(), "/bin/sh", "-c", command).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", s.line, err, out)
		}
		return ""
	}
	words, err := shlex.Split(os.ExpandEnv(strings.TrimPrefix(s.line, "$ barman ")))
	if err != nil {
		t.Fatalf("%s: %v", s.line, err)
	}
	var stdout, stderr bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	code := run(ctx, words, strings.NewReader(""), &stdout, &stderr)
	var b strings.Builder
	for line := range strings.Lines(stdout.String()) {
		if strings.ContainsRune("#$%!?", rune(line[0])) {
			b.WriteString("\\") // it is none of those lines
		}
		b.WriteString(strings.TrimSuffix(line, "\n") + "\n") // JSON ends without one
	}
	for line := range strings.Lines(stderr.String()) {
		b.WriteString("! " + strings.TrimSuffix(line, "\n") + "\n")
	}
	if code != 0 {
		fmt.Fprintf(&b, "? %d\n", code)
	}
	return hidden(st.places.Replace(b.String()), st.masks)
}

// perform plays a transcript and compares, or writes, what is printed.
func (st *stage) perform(t *testing.T, path string) {
	t.Helper()
	tr := readTranscript(t, path)
	want := tr.text()
	for i, s := range tr.steps {
		tr.steps[i].output = st.play(t, s)
	}
	got := tr.text()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", filepath.Base(path), diff)
	}
}

// transcripts are the files of testdata/transcript.
func transcripts(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(testDir, "testdata", "transcript", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts: ", err)
	}
	return files
}

// scenery is the catalog that scripts begin with, and what else transcripts need. No host of it is ever asked.
func scenery(t *testing.T) []txtar.File {
	t.Helper()
	var files []txtar.File
	for _, name := range []string{"catalog.txtar", "transcript.txtar"} {
		archive, err := txtar.ParseFile(filepath.Join(testDir, "testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, archive.Files...)
	}
	return files
}

// asInstalled lets the commands of this process find some plugins, and live in UTC.
func asInstalled(t *testing.T) {
	t.Helper()
	dir, zone := libexecDir, time.Local
	t.Cleanup(func() { libexecDir, time.Local = dir, zone })
	libexecDir, time.Local = t.TempDir(), time.UTC
	err := lab.AddPlugins(t.Context(), libexecDir, "hooks/script", "compress/gzip", "transfer/local-rsync", "transfer/rsync")
	if err != nil {
		t.Fatal(err)
	}
}

// TestTranscripts plays what needs no PostgreSQL, each file on the same catalog.
func TestTranscripts(t *testing.T) {
	asInstalled(t)
	files := scenery(t)
	for _, path := range transcripts(t) {
		if filepath.Base(path) == liveTranscript {
			continue
		}
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			newStage(t, t.TempDir(), files...).perform(t, path)
		})
	}
}

// TestTranscriptOfALiveServer plays what needs PostgreSQL: the story of a server from its first check to its first restore.
func TestTranscriptOfALiveServer(t *testing.T) {
	asInstalled(t)
	work := lab.ScratchDir(t)
	incoming := filepath.Join(work, "home", "main", "incoming")
	if err := os.MkdirAll(incoming, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(incoming, 0o777); err != nil { //nolint:gosec // PostgreSQL writes there, as another user
		t.Fatal(err)
	}
	server := lab.StartCluster(t, lab.ClusterOptions{DataChecksums: true, ArchiveCommand: "cp %p " + incoming + "/%f"})
	server.MustSQL(t, "CREATE ROLE weak LOGIN")
	t.Setenv("CONNINFO", server.Conninfo("", ""))
	t.Setenv("CONNINFO_OF_WEAK", server.Conninfo("weak", "postgres"))
	st := newStage(t, work, scenery(t)...)
	st.places = strings.NewReplacer(work, "$WORK", libexecDir, "$PLUGINS", server.Dir, "$PGHOME", fmt.Sprint("port=", server.Port), "port=PORT",
		server.MustSQL(t, "SELECT system_identifier FROM pg_control_system()"), "SYSTEMID")
	st.masks = slices.Concat(hostMasks, liveMasks)
	st.perform(t, filepath.Join(testDir, "testdata", "transcript", liveTranscript))
}

// TestEveryCommandHasATranscript fails for a command that no transcript shows on the screen, and again as JSON.
func TestEveryCommandHasATranscript(t *testing.T) {
	shown := map[string]map[string]bool{}
	for _, path := range transcripts(t) {
		for _, s := range readTranscript(t, path).steps {
			words, err := shlex.Split(strings.TrimPrefix(s.line, "$ barman "))
			if err != nil || strings.HasPrefix(s.line, "%") {
				continue
			}
			root := newRootCommand(&app{stdin: strings.NewReader(""), stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}})
			words, _, err = argparse.Expand(root, words)
			if err != nil {
				t.Errorf("%s: %s: %v", path, s.line, err)
				continue
			}
			cmd, rest, err := root.Find(words)
			if err == nil {
				err = cmd.ParseFlags(rest)
			}
			if err != nil {
				t.Errorf("%s: %s: %v", path, s.line, err)
				continue
			}
			format := cmd.Flag("format").Value.String()
			if shown[format] == nil {
				shown[format] = map[string]bool{}
			}
			shown[format][cmd.CommandPath()] = true
		}
	}
	for _, cmd := range ourCommands() {
		if !runnable(cmd) || !cmd.HasParent() {
			continue
		}
		for _, format := range []string{"console", "json"} {
			if !shown[format][cmd.CommandPath()] {
				t.Errorf("%s: no transcript in testdata/transcript shows it with --format %s", cmd.CommandPath(), format)
			}
		}
	}
}

func TestTranscriptsAreReadAsTheyAreWritten(t *testing.T) {
	for _, path := range transcripts(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		tr := readTranscript(t, path)
		if diff := cmp.Diff(string(text), tr.text()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
		if !slices.ContainsFunc(tr.steps, func(s step) bool { return s.output != "" }) {
			t.Errorf("%s shows nothing", path)
		}
	}
}
