package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Build is a set of binaries as they are installed: bin/barman, bin/barman-wal-archive, …, and bin/plugins/barman-TYPE-NAME.
type Build struct {
	// Bin is the directory of the commands, Plugins that of the plugins.
	Bin, Plugins string
}

// theBuild is made once per test process, because linking takes seconds.
var theBuild struct {
	once  sync.Once
	build *Build
	err   error
}

// BuildBinaries builds the commands and the bundled plugins of this checkout, once per process. $BARMAN_TEST_BIN names a
// bin directory that is used instead: `make test` builds one for all test processes. User postgres must be able to read it.
func BuildBinaries(t testing.TB) *Build {
	t.Helper()
	theBuild.once.Do(func() { theBuild.build, theBuild.err = NewBuild(context.Background()) })
	if theBuild.err != nil {
		t.Fatal(theBuild.err)
	}
	return theBuild.build
}

// NewBuild is BuildBinaries for programs; every call builds.
func NewBuild(ctx context.Context) (*Build, error) {
	if bin := os.Getenv("BARMAN_TEST_BIN"); bin != "" {
		return &Build{Bin: bin, Plugins: filepath.Join(bin, "plugins")}, nil
	}
	root, err := moduleRoot(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := NewScratchDir()
	if err != nil {
		return nil, err
	}
	// Plugins are trusted only when root or the current user owns them and the directories above.
	if err := os.Lchown(dir, os.Geteuid(), os.Getegid()); err != nil {
		return nil, err
	}
	b := &Build{Bin: filepath.Join(dir, "bin"), Plugins: filepath.Join(dir, "bin", "plugins")}
	if err := os.MkdirAll(b.Plugins, 0o755); err != nil {
		return nil, err
	}
	commands, err := filepath.Glob(filepath.Join(root, "cmd", "*", "main.go"))
	if err != nil || len(commands) == 0 {
		return nil, errors.Join(err, fmt.Errorf("no commands in %s/cmd", root))
	}
	for _, main := range commands {
		if err := goBuild(ctx, filepath.Dir(main), filepath.Join(b.Bin, filepath.Base(filepath.Dir(main)))); err != nil {
			return nil, err
		}
	}
	return b, b.buildPlugins(ctx, root)
}

// pluginTypes maps folders of plugins/ to the type in the binaries' names.
var pluginTypes = map[string]string{"compress": "compress", "transfer": "transfer", "hooks": "hook"}

func (b *Build) buildPlugins(ctx context.Context, root string) error {
	for folder, kind := range pluginTypes {
		mains, err := filepath.Glob(filepath.Join(root, "plugins", folder, "*", "main.go"))
		if err != nil {
			return err
		}
		for _, main := range mains {
			source := filepath.Dir(main)
			name := "barman-" + kind + "-" + filepath.Base(source)
			if err := goBuild(ctx, source, filepath.Join(b.Plugins, name)); err != nil {
				return err
			}
			if err := b.linkAliases(source, kind, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// linkAliases gives a plugin the other names that its source directory lists, by links as the Makefile makes them.
func (b *Build) linkAliases(source, kind, name string) error {
	aliases, err := os.ReadFile(filepath.Join(source, "aliases"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, alias := range strings.Fields(string(aliases)) {
		if err := os.Symlink(name, filepath.Join(b.Plugins, "barman-"+kind+"-"+alias)); err != nil {
			return err
		}
	}
	return nil
}

// AddPlugins puts bundled plugins into a directory, for tests that need only some. Each is a folder of plugins/ such as "compress/gzip".
// Those of $BARMAN_TEST_BIN are linked to, if it is set; otherwise they are built.
func AddPlugins(ctx context.Context, dir string, plugins ...string) error {
	root := ""
	for _, plugin := range plugins {
		folder, base := filepath.Split(plugin)
		name := "barman-" + pluginTypes[filepath.Clean(folder)] + "-" + base
		if bin := os.Getenv("BARMAN_TEST_BIN"); bin != "" {
			if err := os.Symlink(filepath.Join(bin, "plugins", name), filepath.Join(dir, name)); err != nil {
				return err
			}
			continue
		}
		if root == "" {
			var err error
			if root, err = moduleRoot(ctx); err != nil {
				return err
			}
		}
		if err := goBuild(ctx, filepath.Join(root, "plugins", plugin), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

func goBuild(ctx context.Context, source, binary string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, ".")
	cmd.Dir = source
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w: %s", source, err, out)
	}
	// Written anew, for the reason that the Makefile gives.
	program, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	if err := os.Remove(binary); err != nil {
		return err
	}
	if err := os.WriteFile(binary, program, 0o755); err != nil {
		return err
	}
	return os.Chmod(binary, 0o755)
}

// moduleRoot returns the directory of this module's go.mod.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}

// Program returns the path of a command, such as "barman".
func (b *Build) Program(name string) string { return filepath.Join(b.Bin, name) }

// Command prepares a built command as a user; home is its HOME and working directory.
func (b *Build) Command(ctx context.Context, as User, home, program string, args ...string) *exec.Cmd {
	return as.Command(ctx, home, append([]string{b.Program(program)}, args...)...)
}
