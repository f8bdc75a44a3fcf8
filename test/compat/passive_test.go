package compat

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// TestPassiveNodesOfEachOther has a passive node of this program copy from a Python primary, and a Python passive node from this
// program. Each then restores what the primary had.
func TestPassiveNodesOfEachOther(t *testing.T) {
	withPython(t, "3.20", func(t *testing.T, version string) {
		w := newWorld(t, version, (*backuphost.Host).CopyCommand)
		for _, take := range []struct {
			method string
			by     program
		}{{"rsync", w.theirs}, {"rsync", w.ours}, {"postgres", w.theirs}, {"postgres", w.ours}} {
			w.use(t, take.method, "gzip")
			w.more = map[string]string{"retention_policy": "REDUNDANCY 9"}
			w.use(t, take.method, "gzip")
			w.writeAndArchive(t, take.by)
			w.backUp(t, take.by)
		}
		w.writeAndArchive(t, w.ours)
		list, err := w.host.Catalog("main").List()
		if err != nil {
			t.Fatal(err)
		}

		t.Run("ours of Python's", func(t *testing.T) {
			node := backuphost.New(t)
			node.Configure(t, backuphost.Server("main", map[string]any{
				"primary_ssh_command": w.behind(t, w.python.argv, "-c", w.python.config), "compression": "gzip",
			}))
			w.copies(t, node, list, node.Must)
			w.restore(t, node.Must, list.All[0].ID)
			w.restore(t, node.Must, list.All[3].ID)
			if out := node.Must(t, "check", "main"); strings.Contains(out, "FAILED") {
				t.Errorf("check:\n%s", out)
			}
		})
		t.Run("Python's of ours", func(t *testing.T) {
			node := backuphost.New(t)
			node.MakeDir(t, node.Locks)
			python := newPython(t, node, version)
			python.configure(t, w.primary.Bin, map[string]string{
				"primary_ssh_command": w.behind(t, []string{w.host.Build.Program("barman")}, "-c", w.host.Config), "compression": "gzip",
			})
			w.copies(t, node, list, python.must)
			w.restore(t, python.must, list.All[1].ID)
			w.restore(t, python.must, list.All[3].ID)
			// The catalog that Python has made of it is one that this program can go on with.
			node.Configure(t, backuphost.Server("main", map[string]any{"primary_ssh_command": "false", "compression": "gzip"}))
			w.restore(t, node.Must, list.All[0].ID)
		})
	})
}

// behind is a primary_ssh_command behind which "barman" is a program with arguments.
func (w *world) behind(t *testing.T, argv []string, args ...string) string {
	t.Helper()
	bin := lab.ScratchDir(t)
	words := ""
	for _, word := range append(append([]string{}, argv...), args...) {
		words += fmt.Sprintf(" %q", word)
	}
	w.host.WriteFile(t, filepath.Join(bin, "barman"), "#!/bin/sh\nexec"+words+" \"$@\"\n", 0o755)
	sshd := lab.StartSSHD(t, "PATH="+bin+":/usr/local/bin:/usr/bin:/bin")
	return strings.Join(sshd.Command(w.host.User, w.host.User), " ")
}

// copies runs cron of a passive node until it has all backups and all WAL that the primary has archived.
func (w *world) copies(t *testing.T, node *backuphost.Host, want *catalog.Backups, by program) {
	t.Helper()
	layout := w.host.Layout("main")
	newest, err := w.host.Catalog("main").NewestSegments()
	if err != nil {
		t.Fatal(err)
	}
	complete := func() bool {
		list, err := node.Catalog("main").List()
		if err != nil {
			t.Fatal(err)
		}
		here, err := node.Catalog("main").NewestSegments()
		if err != nil {
			t.Fatal(err)
		}
		return len(list.With(catalog.StatusDone)) == len(want.All) && here[1] == newest[1]
	}
	for deadline := time.Now().Add(patience); !complete(); time.Sleep(300 * time.Millisecond) {
		if time.Now().After(deadline) {
			list, _ := node.Catalog("main").List()
			t.Fatalf("of %s only %+v is here", layout.Backup, list.All)
		}
		by(t, "cron")
	}
}
