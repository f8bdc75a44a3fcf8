package docs

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/shlex"

	"github.com/barman-go/barman/test/lab"
)

// reader does what a page tells its reader to do.
type reader struct {
	build *lab.Build
	// dir is where the reader stands; opt is the reader's /opt/acme.
	dir, opt string
	env      []string
}

// errNotTried means that a command is none of those that a test may run.
var errNotTried = errors.New("not tried")

// newReader prepares a configuration with a server that does not answer, so that what a page does to "main" fails in time.
func newReader(t *testing.T) *reader {
	t.Helper()
	scratch := t.TempDir()
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{build: lab.BuildBinaries(t), opt: filepath.Join(scratch, "opt", "acme")}
	if r.dir, err = filepath.Abs(root); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(r.opt, "barman"), 0o755); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(scratch, "barman.hcl")
	text := fmt.Sprintf(`
barman {
  barman_home           = %[1]q
  barman_lock_directory = %[1]q
  barman_user           = %[2]q
  path_prefix           = [%[3]q]
}
server "main" {
  conninfo       = "host=%[1]s/nowhere"
  ssh_command    = "false"
  backup_options = "concurrent_backup"
  archiver       = true
}`, scratch, me.Username, filepath.Join(r.opt, "barman"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r.env = append(os.Environ(), "BARMAN_CONFIG_FILE="+config)
	return r
}

// do tries one command line of a page.
func (r *reader) do(line string) error {
	line = strings.ReplaceAll(line, "/opt/acme", r.opt)
	if dir, rest, ok := strings.Cut(line, " && "); ok && strings.HasPrefix(dir, "cd ") {
		r.dir = filepath.Join(r.dir, strings.TrimPrefix(dir, "cd "))
		line = rest
	}
	line, _, _ = strings.Cut(line, " > ")
	words, err := shlex.Split(line) // knows comments
	if err != nil {
		return err
	}
	if words[0] == "sudo" {
		words = words[1:]
	}
	switch program := words[0]; {
	case program == "barman":
		return r.barman(words[1:])
	case program == "make":
		return r.run(append([]string{"make", "--dry-run"}, words[1:]...))
	case program == "go" || strings.HasPrefix(program, r.opt):
		return r.run(words)
	}
	return fmt.Errorf("%s: %w", words[0], errNotTried)
}

// barman runs barman. The server of a page is not there, so only mistakes count (exit code 2), and whatever goes wrong with
// plugins, which are there.
func (r *reader) barman(args []string) error {
	cmd := exec.Command(r.build.Program("barman"), args...)
	cmd.Env, cmd.Dir = r.env, r.dir
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 && args[0] != "plugin" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func (r *reader) run(words []string) error {
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Env, cmd.Dir = r.env, r.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func TestCommandsInPagesWork(t *testing.T) {
	for _, p := range pages(t) {
		t.Run(p.name, func(t *testing.T) {
			r := newReader(t)
			if dir := filepath.Dir(p.name); strings.HasPrefix(dir, "examples/") {
				r.dir = filepath.Join(r.dir, dir) // such a page speaks of its own directory
			}
			for _, b := range p.blocks("console") {
				number := b.line - 1
				for line := range strings.Lines(b.code) {
					number++
					command, ok := strings.CutPrefix(strings.TrimSpace(line), "$ ")
					if !ok {
						command, ok = strings.CutPrefix(strings.TrimSpace(line), "# ")
					}
					if !ok {
						continue // what a command prints
					}
					if err := r.do(command); errors.Is(err, errNotTried) {
						t.Logf("%d: %s: %v", number, command, err)
					} else if err != nil {
						t.Errorf("%d: %s: %v", number, command, err)
					}
				}
			}
		})
	}
}

// mentioned is a command of barman in the text; what it says about options is checked as well.
var mentioned = regexp.MustCompile("`barman ([^`|]+)`")

func TestCommandsInTheTextExist(t *testing.T) {
	r := newReader(t)
	for _, p := range pages(t) {
		for _, m := range mentioned.FindAllStringSubmatch(p.prose(), -1) {
			var command, options []string
			for _, word := range strings.Fields(m[1]) {
				switch {
				case strings.HasPrefix(word, "-"):
					name, _, _ := strings.Cut(word, "=")
					options = append(options, name)
				case len(options) == 0 && word == strings.ToLower(word) && len(command) < 2:
					command = append(command, word)
				}
			}
			help, err := r.help(command)
			if err != nil {
				t.Errorf("%s: `barman %s`: %v", p.name, m[1], err)
			}
			for _, name := range options {
				if !strings.Contains(help, name+" ") && !strings.Contains(help, name+",") {
					t.Errorf("%s: `barman %s`: there is no option %s", p.name, m[1], name)
				}
			}
		}
	}
}

// help is the help of a command; of two words, the second may be an argument.
func (r *reader) help(command []string) (string, error) {
	for {
		cmd := exec.Command(r.build.Program("barman"), append([]string{"help"}, command...)...)
		cmd.Env = r.env
		out, err := cmd.CombinedOutput()
		if err == nil || len(command) < 2 {
			return string(out), err
		}
		command = command[:1]
	}
}
