package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// SSHD is an ssh server on a loopback port, with keys and a configuration of its own. Every user of the lab (root and
// postgres, or the current user) can log in as every other.
type SSHD struct {
	Port int
	dir  string
	env  []string
	log  string

	cmd    *exec.Cmd
	exited chan struct{}
}

// ErrNoSSHD means that this machine cannot run the lab's sshd; the text says why.
var ErrNoSSHD = errors.New("no sshd for tests")

// StartSSHD starts an sshd; it skips the test where there is none. Remote commands find env ("NAME=value", PATH included) in
// their environment.
func StartSSHD(t testing.TB, env ...string) *SSHD {
	t.Helper()
	s, err := NewSSHD(t.Context(), ScratchDir(t), env...)
	if errors.Is(err, ErrNoSSHD) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// NewSSHD is StartSSHD for programs. dir is an empty directory that other users can enter.
func NewSSHD(ctx context.Context, dir string, env ...string) (*SSHD, error) {
	const sshd = "/usr/sbin/sshd" // sshd wants to be called by its absolute path
	if _, err := os.Stat(sshd); err != nil {
		return nil, fmt.Errorf("%w: apt-get install openssh-server (%w)", ErrNoSSHD, err)
	}
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	s := &SSHD{Port: port, dir: dir, env: env, log: filepath.Join(dir, "sshd.log")}
	if os.Geteuid() == 0 {
		// sshd's privilege separation insists on this directory, which the service's unit makes.
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			return nil, err
		}
	}
	if err := s.makeKeys(ctx); err != nil {
		return nil, err
	}
	if err := s.start(ctx, sshd); err != nil {
		return nil, err
	}
	return s, s.waitReady(ctx)
}

// clients are the users that get a key.
func clients() ([]User, error) {
	current, err := CurrentUser()
	if err != nil {
		return nil, err
	}
	postgres, err := PostgresUser()
	if err != nil {
		return nil, err
	}
	if postgres.UID == current.UID {
		return []User{current}, nil
	}
	return []User{current, postgres}, nil
}

// makeKeys makes the host's key and one for each client, which ssh wants to be the property of its user.
func (s *SSHD) makeKeys(ctx context.Context) error {
	users, err := clients()
	if err != nil {
		return err
	}
	if err := s.keygen(ctx, "host"); err != nil {
		return err
	}
	hostKey, err := os.ReadFile(s.path("host.pub"))
	if err != nil {
		return err
	}
	known := fmt.Sprintf("[127.0.0.1]:%d %s", s.Port, hostKey)
	var authorized strings.Builder
	for _, user := range users {
		if err := s.keygen(ctx, "id_"+user.Name); err != nil {
			return err
		}
		public, err := os.ReadFile(s.path("id_" + user.Name + ".pub"))
		if err != nil {
			return err
		}
		authorized.Write(public)
		if err := user.own(s.path("id_" + user.Name)); err != nil {
			return err
		}
	}
	return errors.Join(
		os.WriteFile(s.path("known_hosts"), []byte(known), 0o644),
		os.WriteFile(s.path("authorized_keys"), []byte(authorized.String()), 0o644),
	)
}

func (s *SSHD) path(name string) string { return filepath.Join(s.dir, name) }

func (s *SSHD) keygen(ctx context.Context, name string) error {
	_, err := mustRun(exec.CommandContext(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", s.path(name)))
	return err
}

func (s *SSHD) start(_ context.Context, sshd string) error {
	usePAM := "no"
	if os.Geteuid() == 0 {
		usePAM = "yes" // without PAM sshd refuses users without a password, such as postgres
	}
	config := strings.Join([]string{
		"Port " + strconv.Itoa(s.Port), "ListenAddress 127.0.0.1", "HostKey " + s.path("host"), "PidFile none",
		"AuthorizedKeysFile " + s.path("authorized_keys"), "StrictModes no", "UsePAM " + usePAM,
		"PasswordAuthentication no", "KbdInteractiveAuthentication no", "PermitRootLogin prohibit-password",
		"PrintMotd no", "MaxStartups 100", "MaxSessions 100", "Subsystem sftp internal-sftp", "",
	}, "\n")
	// bash reads ~/.bashrc for a command that comes through ssh, unless it thinks that another shell has started it. What that file does
	// is this machine's business, and may take seconds.
	config += "SetEnv " + strings.Join(append([]string{"SHLVL=1"}, s.env...), " ") + "\n"
	if err := os.WriteFile(s.path("sshd_config"), []byte(config), 0o644); err != nil {
		return err
	}
	current, err := CurrentUser()
	if err != nil {
		return err
	}
	log, err := os.Create(s.log)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	s.cmd = current.Command(context.Background(), s.dir, sshd, "-D", "-e", "-f", s.path("sshd_config"))
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.exited = make(chan struct{})
	go func() {
		defer close(s.exited)
		_ = s.cmd.Wait()
	}()
	return nil
}

func (s *SSHD) waitReady(ctx context.Context) error {
	for {
		conn, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(s.Port))
		if err == nil {
			return conn.Close()
		}
		select {
		case <-s.exited:
			text, _ := os.ReadFile(s.log)
			return fmt.Errorf("%w: it ended: %s", ErrNoSSHD, text)
		case <-ctx.Done():
			s.Stop()
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Command returns the ssh command with which client reaches this host as remote, without a remote command: the value for
// the option ssh_command when joined with blanks.
func (s *SSHD) Command(client, remote User) []string {
	return []string{
		"ssh", "-F", "none", "-p", strconv.Itoa(s.Port), "-i", s.path("id_" + client.Name),
		"-o", "IdentitiesOnly=yes", "-o", "UserKnownHostsFile=" + s.path("known_hosts"), "-o", "StrictHostKeyChecking=yes",
		"-o", "BatchMode=yes", "-o", "LogLevel=ERROR", remote.Name + "@127.0.0.1",
	}
}

// Client makes a directory with a program ssh for PATH, which client uses to reach this server under any name of a host, if the
// caller gives the port.
func (s *SSHD) Client(t testing.TB, client User) string {
	t.Helper()
	dir := s.path("bin-" + client.Name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	argv := s.Command(client, client)
	argv = argv[:len(argv)-1] // without user and host
	if i := slices.Index(argv, "-p"); i >= 0 {
		argv = slices.Delete(argv, i, i+2)
	}
	argv = append(argv, "-o", "HostName=127.0.0.1", "-o", fmt.Sprintf("HostKeyAlias='[127.0.0.1]:%d'", s.Port))
	script := "#!/bin/sh\nexec /usr/bin/" + strings.Join(argv, " ") + ` "$@"` + "\n" // no word of it needs quotes
	if err := os.WriteFile(filepath.Join(dir, "ssh"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Log returns what sshd wrote.
func (s *SSHD) Log() string {
	text, _ := os.ReadFile(s.log)
	return string(text)
}

// Stop ends the server and all its sessions.
func (s *SSHD) Stop() {
	select {
	case <-s.exited:
		return
	default:
	}
	killAll(append(s.sessions(), s.cmd.Process.Pid))
	<-s.exited
}

// Drop ends all sessions at once, with what runs in them, as a failing network does; new ones are welcome. It returns the number of
// processes that it has ended.
func (s *SSHD) Drop() int {
	pids := s.sessions()
	killAll(pids)
	return len(pids)
}

// sessions are the children of the listening process, and theirs.
func (s *SSHD) sessions() []int {
	pids := childrenOf(s.cmd.Process.Pid)
	for i := 0; i < len(pids); i++ {
		pids = append(pids, childrenOf(pids[i])...)
	}
	return pids
}
