package compat

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"

	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// walHosts are a backup host with one of the two Barmans, and a database host with the clients of the other, with an ssh between
// them. There is no PostgreSQL: WAL is made here.
type walHosts struct {
	t      *testing.T
	host   *backuphost.Host
	sshd   *lab.SSHD
	config string
	// clients is the directory of barman-wal-archive and barman-wal-restore; path leads their PATH.
	clients, path string
	// pgWAL is where the database host has its WAL, next the number of its next segment.
	pgWAL string
	next  int
}

// mib is the segment size.
const mib = 1 << 20

// newWALHosts starts the sshd. barman is the program on the backup host, config its configuration.
func newWALHosts(t *testing.T, host *backuphost.Host, barman []string, config, clients string) *walHosts {
	t.Helper()
	bin := filepath.Join(host.Dir, "remote-bin")
	host.MakeDir(t, bin)
	host.WriteFile(t, filepath.Join(bin, "barman"), "#!/bin/sh\nexec "+strings.Join(barman, " ")+" \"$@\"\n", 0o755)
	h := &walHosts{
		t: t, host: host, sshd: lab.StartSSHD(t, "PATH="+bin+":/usr/bin:/bin"), config: config, clients: clients,
		pgWAL: filepath.Join(host.Dir, "pg_wal"),
	}
	h.path = h.sshd.Client(t, host.User) + ":/usr/bin:/bin"
	layout := host.Layout("main")
	for _, dir := range []string{h.pgWAL, layout.Backup, layout.Incoming, layout.Streaming, layout.WALs, layout.Errors, layout.Base, host.Locks} {
		host.MakeDir(t, dir)
	}
	return h
}

// options are those of a server without PostgreSQL; both configurations can have them.
func serverWithoutPostgres() map[string]string {
	return map[string]string{
		"conninfo": "host=/nowhere user=postgres", "archiver": "on", "backup_method": "postgres", "streaming_conninfo": "host=/nowhere",
	}
}

// segment makes the next WAL segment on the database host.
func (h *walHosts) segment() (name string, content []byte) {
	h.t.Helper()
	h.next++
	seg := wal.SegmentNumber(1, uint64(h.next), mib)
	magic, _ := wal.PageMagic(15)
	le := binary.LittleEndian
	b := le.AppendUint16(nil, magic)
	b = le.AppendUint16(b, wal.InfoLongHeader)
	b = le.AppendUint32(b, 1)
	b = le.AppendUint64(b, uint64(seg.StartLSN(mib)))
	b = le.AppendUint64(b, 0)
	b = le.AppendUint64(b, 7000000000000000001)
	b = le.AppendUint32(b, mib)
	b = le.AppendUint32(b, 8192)
	r := rand.New(rand.NewPCG(uint64(h.next), 1))
	for len(b) < mib {
		b = append(b, byte(r.Uint32())&0x0f)
	}
	h.host.WriteFile(h.t, filepath.Join(h.pgWAL, seg.String()), string(b), 0o600)
	return seg.String(), b
}

// run runs a client with the options that say where barman is.
func (h *walHosts) run(client, flags string, args ...string) lab.Result {
	h.t.Helper()
	all := []string{filepath.Join(h.clients, client), "-U", h.host.User.Name, "--port", fmt.Sprint(h.sshd.Port), "-c", h.config}
	all = append(append(all, strings.Fields(flags)...), "backup.example", "main")
	cmd := h.host.User.Command(h.t.Context(), h.host.Dir, append(all, args...)...)
	cmd.Env = append(cmd.Env, "PATH="+h.path)
	r, err := lab.Run(cmd)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

// plain decodes what a client has compressed.
func plain(t *testing.T, stored []byte) []byte {
	t.Helper()
	if bytes.HasPrefix(stored, []byte("\xff\x06\x00\x00sNaPpY")) {
		content, err := io.ReadAll(s2.NewReader(bytes.NewReader(stored)))
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	for magic, tool := range map[string]string{"\x1f\x8b": "gzip", "BZh": "bzip2", "\xfd7zXZ": "xz", "\x28\xb5\x2f\xfd": "zstd", "\x04\x22\x4d\x18": "lz4"} {
		if !bytes.HasPrefix(stored, []byte(magic)) {
			continue
		}
		cmd := exec.Command(tool, "-dc")
		cmd.Stdin = bytes.NewReader(stored)
		content, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", tool, err)
		}
		return content
	}
	return stored
}

// archiveFlags are all options of barman-wal-archive beside those of run, and the formats that they mean.
var archiveFlags = []string{
	"", "--md5", "-z", "-j --compression-level 1", "--xz --compression-level low", "--snappy", "--zstd --compression-level=-3",
	"--lz4 --md5 --compression-level high",
}

// archive sends segments with all options and looks at what the server has received.
func (h *walHosts) archive(known func(flags string) bool) {
	t := h.t
	for _, flags := range archiveFlags {
		if !known(flags) {
			continue
		}
		name, content := h.segment()
		r := h.run("barman-wal-archive", flags, filepath.Join(h.pgWAL, name))
		if r.Exit != 0 {
			t.Errorf("barman-wal-archive %s: exit code %d: %s%s", flags, r.Exit, r.Stdout, r.Stderr)
			continue
		}
		stored, err := os.ReadFile(filepath.Join(h.host.Layout("main").Incoming, name))
		if err != nil || !bytes.Equal(plain(t, stored), content) {
			t.Errorf("barman-wal-archive %s: what arrived differs (error %v)", flags, err)
		}
		if compressed := !bytes.Equal(stored, content); compressed != (flags != "" && flags != "--md5") {
			t.Errorf("barman-wal-archive %s: compressed: %v", flags, compressed)
		}
		if flags != "" && flags != "-z" {
			continue // starting Python takes its time
		}
		// PostgreSQL repeats what it could not record.
		if r := h.run("barman-wal-archive", flags, filepath.Join(h.pgWAL, name)); r.Exit != 0 {
			t.Errorf("barman-wal-archive %s, again: exit code %d: %s", flags, r.Exit, r.Stderr)
		}
	}
	if r := h.run("barman-wal-archive", "--test", "x"); r.Exit != 0 || !strings.Contains(r.Stdout, "Ready to accept WAL files for the server main") {
		t.Errorf("--test: exit code %d, %q %q", r.Exit, r.Stdout, r.Stderr)
	}
	junk := filepath.Join(h.pgWAL, "nothing")
	if r := h.run("barman-wal-archive", "", junk); r.Exit != 2 {
		t.Errorf("a file that does not exist: exit code %d, %s", r.Exit, r.Stderr)
	}
}

// restore fetches with all options of barman-wal-restore, and from a stored form that --keep-compression hands on.
func (h *walHosts) restore() {
	t := h.t
	layout := h.host.Layout("main")
	contents := map[string][]byte{}
	var names []string
	for range 6 {
		name, content := h.segment()
		names, contents[name] = append(names, name), content
		h.host.WriteFile(t, filepath.Join(layout.Incoming, name), string(content), 0o600)
	}
	packed, err := exec.Command("gzip", "-c", filepath.Join(layout.Incoming, names[1])).Output()
	if err != nil {
		t.Fatal(err)
	}
	hash := filepath.Join(layout.WALs, names[1][:16])
	h.host.MakeDir(t, hash)
	h.host.WriteFile(t, filepath.Join(hash, names[1]), string(packed), 0o600)
	partial, content := h.segment()
	h.host.WriteFile(t, filepath.Join(layout.Streaming, partial+".partial"), string(content), 0o600)
	contents[partial] = content

	dest, spool := filepath.Join(h.host.Dir, "RECOVERYXLOG"), "--spool-dir "+filepath.Join(h.host.Dir, "spool")
	want := func(flags, name string, exit int) {
		t.Helper()
		_ = os.Remove(dest)
		r := h.run("barman-wal-restore", flags+" "+spool, name, dest)
		if strings.Contains(r.Stderr, "[config.compression, ") { // 3.13 with --keep-compression, whatever the server
			t.Logf("barman-wal-restore %s fails by itself: %s", flags, r.Stderr[strings.LastIndex(strings.TrimSpace(r.Stderr), "\n"):])
			return
		}
		if r.Exit != exit {
			t.Errorf("barman-wal-restore %s of %s: exit code %d, want %d: %s%s", flags, name, r.Exit, exit, r.Stdout, r.Stderr)
			return
		}
		got, err := os.ReadFile(dest)
		if exit == 0 && (err != nil || !bytes.Equal(got, contents[name])) {
			t.Errorf("barman-wal-restore %s of %s: the file differs (error %v)", flags, name, err)
		}
	}
	want("", names[0], 0)
	for _, flags := range []string{"", "--keep-compression", "-z", "-j", "--partial --gzip"} {
		want(flags, names[1], 0)
	}
	want("", partial, 1)
	want("-P", partial, 0)
	want("-s 1", "0000000100000000000000FF", 1)
	want("", "nonsense", 3)
	for _, name := range names {
		want("-p 4", name, 0)
	}
	if r := h.run("barman-wal-restore", "--test", "x", "y"); r.Exit != 0 || !strings.Contains(r.Stdout, "Ready to retrieve WAL files from the server main") {
		t.Errorf("--test: exit code %d, %q %q", r.Exit, r.Stdout, r.Stderr)
	}
}

// TestPythonsClientsWithOurServer sends and fetches with barman-cli over ssh.
func TestPythonsClientsWithOurServer(t *testing.T) {
	withPython(t, "3.13", func(t *testing.T, version string) {
		host := backuphost.New(t)
		options := map[string]any{}
		for name, value := range serverWithoutPostgres() {
			options[name] = value
		}
		options["compression"], options["backup_options"] = "gzip", "concurrent_backup"
		host.Configure(t, backuphost.Server("main", options))
		python := lab.PythonBarman(t, version)[0]
		h := newWALHosts(t, host, []string{host.Build.Program("barman")}, host.Config, filepath.Dir(python))
		help, err := exec.Command(filepath.Join(h.clients, "barman-wal-archive"), "--help").Output()
		if err != nil {
			t.Fatal(err)
		}
		h.archive(func(flags string) bool {
			for _, f := range strings.Fields(flags) {
				if name, _, _ := strings.Cut(f, "="); strings.HasPrefix(f, "-") && !bytes.Contains(help, []byte(name)) {
					t.Logf("barman-wal-archive %s does not know %s", version, f)
					return false
				}
			}
			return !h.lacksModule(flags)
		})
		h.restore()
		h.archiveInParallel(help)
	})
}

// lacksModule tells whether Python's client says that a library for the options is not installed.
func (h *walHosts) lacksModule(flags string) bool {
	if !slices.ContainsFunc([]string{"--snappy", "--zstd", "--lz4"}, func(f string) bool { return strings.Contains(flags, f) }) {
		return false
	}
	name, _ := h.segment()
	r := h.run("barman-wal-archive", flags, filepath.Join(h.pgWAL, name))
	// The library may also be one for another machine, and take Python down.
	lacks := r.Exit == -1 || r.Exit != 0 && strings.Contains(strings.ToLower(r.Stdout+r.Stderr), "install")
	if lacks {
		h.t.Logf("barman-wal-archive %s: exit code %d: %s", flags, r.Exit, strings.TrimSpace(r.Stdout+r.Stderr))
	}
	return lacks
}

// archiveInParallel is --parallel of newer versions, which sends what PostgreSQL will ask for next as well.
func (h *walHosts) archiveInParallel(help []byte) {
	if !bytes.Contains(help, []byte("--parallel")) {
		return
	}
	t := h.t
	status := filepath.Join(h.pgWAL, "archive_status")
	h.host.MakeDir(t, status)
	contents := map[string][]byte{}
	var names []string
	for range 4 {
		name, content := h.segment()
		names, contents[name] = append(names, name), content
		h.host.WriteFile(t, filepath.Join(status, name+".ready"), "", 0o600)
	}
	for _, name := range names {
		flags := "-p 3 --prefetch-cache-dir " + filepath.Join(h.host.Dir, "cache")
		if r := h.run("barman-wal-archive", flags, filepath.Join(h.pgWAL, name)); r.Exit != 0 {
			t.Errorf("barman-wal-archive %s: exit code %d: %s%s", flags, r.Exit, r.Stdout, r.Stderr)
		}
		stored, err := os.ReadFile(filepath.Join(h.host.Layout("main").Incoming, name))
		if err != nil || !bytes.Equal(stored, contents[name]) {
			t.Errorf("barman-wal-archive -p: %s was acknowledged and differs (error %v)", name, err)
		}
	}
}

// TestOurClientsWithPythonsServer sends and fetches with our clients over ssh.
func TestOurClientsWithPythonsServer(t *testing.T) {
	withPython(t, "3.20", func(t *testing.T, version string) {
		host := backuphost.New(t)
		p := newPython(t, host, version)
		p.configure(t, "/usr/bin", serverWithoutPostgres())
		h := newWALHosts(t, host, p.argv, p.config, host.Build.Bin)
		h.archive(func(string) bool { return true })
		h.restore()
	})
}
