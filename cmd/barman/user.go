package main

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// becomeUser makes the process run as barman_user, so that every file of the catalog has one owner. Only root can
// change, and does not come back: the program starts again as that user. Everybody else must be that user already.
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
	for name, value := range map[string]string{"HOME": u.HomeDir, "USER": u.Username, "LOGNAME": u.Username} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	// A fresh start forgets all that was looked up for root: the standard library remembers the first user, and defaults
	// such as the PostgreSQL user and ~/.pgpass would come from there.
	return fmt.Errorf("ERROR: start again as '%s' user: %w", name, syscall.Exec("/proc/self/exe", os.Args, os.Environ()))
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
