package backuphost

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/test/lab"
)

// patience is how long a command may take on a busy machine before the test takes it for hung.
const patience = 5 * time.Minute

// Host is one backup host.
type Host struct {
	Build *lab.Build
	// User is who barman runs as.
	User lab.User
	// Dir holds all the rest; Home is barman_home, Locks the lock directory, Config the configuration file.
	Dir, Home, Locks, Config string
	// Global is HCL for the barman block, added by Configure.
	Global string
}

// New makes a host. It is gone when the test ends.
func New(t testing.TB) *Host {
	t.Helper()
	user, err := lab.PostgresUser()
	if err != nil {
		t.Skip(err)
	}
	dir := lab.ScratchDir(t)
	h := &Host{
		Build: lab.BuildBinaries(t), User: user, Dir: dir, Home: filepath.Join(dir, "barman"),
		Locks: filepath.Join(dir, "locks"), Config: filepath.Join(dir, "barman.hcl"),
	}
	t.Cleanup(func() {
		if text, err := os.ReadFile(h.LogFile()); err == nil && t.Failed() {
			t.Logf("end of barman's log:\n%s", tail(string(text), 40))
		}
	})
	t.Cleanup(h.endProcesses)
	h.MakeDir(t, h.Home)
	return h
}

// endProcesses kills what the host's cron has left running, such as receive-wal.
func (h *Host) endProcesses() {
	found, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range found {
		text, _ := os.ReadFile(path)
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil && strings.Contains(string(text), "\x00"+h.Config+"\x00") {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// LogFile is log_file.
func (h *Host) LogFile() string { return filepath.Join(h.Dir, "barman.log") }

func tail(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// Configure writes the configuration: the barman block and the given blocks.
func (h *Host) Configure(t testing.TB, blocks ...string) {
	t.Helper()
	installation, err := lab.FindPostgres(0)
	if err != nil {
		t.Skip(err)
	}
	global := fmt.Sprintf("barman {\n  barman_user = %q\n  barman_home = %q\n  barman_lock_directory = %q\n  log_file = %q\n",
		h.User.Name, h.Home, h.Locks, h.LogFile())
	if !strings.Contains(h.Global, "path_prefix") {
		global += fmt.Sprintf("  path_prefix = [%q]\n", installation.Bin)
	}
	h.WriteFile(t, h.Config, global+h.Global+"}\n\n"+strings.Join(blocks, "\n"), 0o644)
}

// Command prepares barman with the host's configuration.
func (h *Host) Command(ctx context.Context, args ...string) *exec.Cmd {
	return h.Build.Command(ctx, h.User, h.Dir, "barman", append([]string{"-c", h.Config}, args...)...)
}

// Barman runs a command to its end.
func (h *Host) Barman(t testing.TB, args ...string) lab.Result {
	t.Helper()
	return h.BarmanWithInput(t, "", args...)
}

// BarmanWithInput is Barman with something on standard input.
func (h *Host) BarmanWithInput(t testing.TB, input string, args ...string) lab.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := h.Command(ctx, args...)
	cmd.Stdin = strings.NewReader(input)
	result, err := lab.Run(cmd)
	if err != nil {
		t.Fatalf("barman %s: %v\n%s%s", strings.Join(args, " "), err, result.Stdout, result.Stderr)
	}
	return result
}

// Must runs a command that has to succeed, and returns its standard output.
func (h *Host) Must(t testing.TB, args ...string) string {
	t.Helper()
	r := h.Barman(t, args...)
	if r.Exit != 0 {
		t.Fatalf("barman %s: exit code %d\n%s%s", strings.Join(args, " "), r.Exit, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

// Refused runs a command that has to fail with an exit code, without a stack or a raw gRPC status, and whose output has to name all
// of the words. It returns the output.
func (h *Host) Refused(t testing.TB, exit int, words []string, args ...string) string {
	t.Helper()
	r := h.Barman(t, args...)
	CheckRefusal(t, r, exit, words, args...)
	return r.Stdout + r.Stderr
}

// CheckRefusal is the check of Refused for a command that was run otherwise.
func CheckRefusal(t testing.TB, r lab.Result, exit int, words []string, args ...string) {
	t.Helper()
	text := r.Stdout + r.Stderr
	if r.Exit != exit {
		t.Errorf("barman %s: exit code %d, want %d\n%s", strings.Join(args, " "), r.Exit, exit, text)
	}
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("barman %s does not say %q:\n%s", strings.Join(args, " "), word, text)
		}
	}
	for _, bad := range []string{"goroutine ", "rpc error", "panic:", "%!"} {
		if strings.Contains(text, bad) {
			t.Errorf("barman %s shows %q to the user:\n%s", strings.Join(args, " "), bad, text)
		}
	}
}

// JSON runs a command with --format json and decodes the document.
func (h *Host) JSON(t testing.TB, into any, args ...string) {
	t.Helper()
	out := h.Must(t, append([]string{"--format", "json"}, args...)...)
	if err := json.Unmarshal([]byte(out), into); err != nil {
		t.Fatalf("barman %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// Backup is a line of list-backups.
type Backup struct {
	ID        string `json:"backup_id"`
	Status    string `json:"status"`
	Retention string `json:"retention_status"`
}

// Backups are what list-backups shows, newest first.
func (h *Host) Backups(t testing.TB, server string) []Backup {
	t.Helper()
	var doc map[string]json.RawMessage
	h.JSON(t, &doc, "list-backups", server)
	var backups []Backup
	if err := json.Unmarshal(doc[server], &backups); err != nil {
		t.Fatalf("list-backups %s: %v in %s", server, err, doc[server])
	}
	return backups
}

// Catalog is the catalog of a server, for what only files say.
func (h *Host) Catalog(server string) *catalog.Catalog {
	return catalog.New(h.Layout(server))
}

// Layout says where the files of a server are.
func (h *Host) Layout(server string) catalog.Layout {
	dir := filepath.Join(h.Home, server)
	return catalog.Layout{
		Server: server, Backup: dir, Base: filepath.Join(dir, "base"), WALs: filepath.Join(dir, "wals"), Incoming: filepath.Join(dir, "incoming"),
		Streaming: filepath.Join(dir, "streaming"), Errors: filepath.Join(dir, "errors"), XlogDB: filepath.Join(dir, "wals"),
	}
}

// Latest is the backup.info of the newest usable backup.
func (h *Host) Latest(t testing.TB, server string) *catalog.BackupInfo {
	t.Helper()
	list, err := h.Catalog(server).List()
	if err != nil {
		t.Fatal(err)
	}
	b, err := list.Resolve("latest")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// MakeDir makes a directory of barman's user.
func (h *Host) MakeDir(t testing.TB, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	h.own(t, path)
}

// WriteFile writes a file of barman's user.
func (h *Host) WriteFile(t testing.TB, path, content string, mode os.FileMode) {
	t.Helper()
	// At once: an archive_command may read the configuration at any time.
	temp := path + ".new"
	if err := os.WriteFile(temp, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	h.own(t, temp)
	if err := os.Rename(temp, path); err != nil {
		t.Fatal(err)
	}
}

func (h *Host) own(t testing.TB, path string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	if err := os.Lchown(path, h.User.UID, h.User.GID); err != nil {
		t.Fatal(err)
	}
}
