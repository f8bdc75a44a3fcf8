package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// User is a system user that commands run as.
type User struct {
	Name     string
	UID, GID int
}

// PostgresUser returns the user that owns clusters: postgres when we are root, the current user otherwise.
func PostgresUser() (User, error) {
	if os.Geteuid() == 0 {
		return lookupUser("postgres")
	}
	return CurrentUser()
}

// CurrentUser returns who this process runs as.
func CurrentUser() (User, error) {
	u, err := user.Current()
	if err != nil {
		return User{}, err
	}
	return lookupUser(u.Username)
}

func lookupUser(name string) (User, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return User{}, fmt.Errorf("the lab needs the system user %q (on Debian: apt-get install postgresql-common): %w", name, err)
	}
	uid, errUID := strconv.Atoi(u.Uid)
	gid, errGID := strconv.Atoi(u.Gid)
	return User{Name: u.Username, UID: uid, GID: gid}, errors.Join(errUID, errGID)
}

// own gives a path to the user.
func (u User) own(path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return os.Lchown(path, u.UID, u.GID)
}

// Command prepares a command that runs as the user, in a clean environment with home as HOME, and that dies with this
// process. The context's end kills it.
func (u User) Command(ctx context.Context, home string, argv ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = []string{
		"HOME=" + home, "USER=" + u.Name, "LOGNAME=" + u.Name, "LC_ALL=C.UTF-8", "TZ=UTC",
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	}
	cmd.Dir = home
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if os.Geteuid() == 0 && u.UID != 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(u.UID), Gid: uint32(u.GID), Groups: u.groups()}
	}
	// A child that keeps the pipes open must not hang Wait.
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// groups are the supplementary groups; Debian's ssl-cert lets postgres read the snake-oil key.
func (u User) groups() []uint32 {
	account, err := user.Lookup(u.Name)
	if err != nil {
		return nil
	}
	ids, err := account.GroupIds()
	if err != nil {
		return nil
	}
	var groups []uint32
	for _, id := range ids {
		if n, err := strconv.ParseUint(id, 10, 32); err == nil {
			groups = append(groups, uint32(n))
		}
	}
	return groups
}

// Result is how a command ended.
type Result struct {
	Stdout, Stderr string
	// Exit is the exit code, or -1 when a signal ended it.
	Exit int
}

// Run runs a prepared command to its end. A non-zero exit code is not an error; not being able to run it is.
func Run(cmd *exec.Cmd) (Result, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	result := Result{Stdout: stdout.String(), Stderr: stderr.String()}
	if cmd.ProcessState != nil {
		result.Exit = cmd.ProcessState.ExitCode()
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = nil
	}
	if err != nil {
		return result, fmt.Errorf("%s: %w", filepath.Base(cmd.Path), err)
	}
	return result, nil
}

// mustRun is Run for commands that have to succeed.
func mustRun(cmd *exec.Cmd) (string, error) {
	result, err := Run(cmd)
	if err == nil && result.Exit != 0 {
		err = fmt.Errorf("%s: exit status %d: %s", filepath.Base(cmd.Path), result.Exit, strings.TrimSpace(result.Stderr))
	}
	return result.Stdout, err
}
