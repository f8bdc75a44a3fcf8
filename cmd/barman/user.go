package main

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// becomeUser makes the process run as barman_user, so that every file of the catalog has one owner. Only root can
// change; everybody else must be that user already.
func becomeUser(name string) error {
	if name == "" {
		return nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return fmt.Errorf("ERROR: the configured user '%s' does not exists", name)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return fmt.Errorf("ERROR: user '%s': %w", name, err)
	}
	if os.Geteuid() == uid {
		return nil
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("ERROR: please run barman as '%s' user", name)
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return fmt.Errorf("ERROR: user '%s': %w", name, err)
	}
	groups, err := groupsOf(u)
	if err != nil {
		return fmt.Errorf("ERROR: user '%s': %w", name, err)
	}
	// Groups first: afterwards there is no right to change them.
	if err := syscall.Setgroups(groups); err != nil {
		return fmt.Errorf("ERROR: please run barman as '%s' user: %w", name, err)
	}
	if err := syscall.Setgid(gid); err != nil {
		return fmt.Errorf("ERROR: please run barman as '%s' user: %w", name, err)
	}
	if err := syscall.Setuid(uid); err != nil {
		return fmt.Errorf("ERROR: please run barman as '%s' user: %w", name, err)
	}
	return os.Setenv("HOME", u.HomeDir)
}

func groupsOf(u *user.User) ([]int, error) {
	ids, err := u.GroupIds()
	if err != nil {
		return nil, err
	}
	groups := make([]int, 0, len(ids))
	for _, id := range ids {
		n, err := strconv.Atoi(id)
		if err != nil {
			return nil, err
		}
		groups = append(groups, n)
	}
	return groups, nil
}
