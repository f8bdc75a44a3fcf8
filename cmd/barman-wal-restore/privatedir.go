package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// spoolKey names the directory in --spool-dir of one remote server and one destination: two clusters on a host that recover from
// the same archive do not take each other's files.
func spoolKey(o *options) (string, error) {
	dest, err := filepath.Abs(filepath.Dir(o.dest))
	if err != nil {
		return "", err
	}
	whole := strings.Join([]string{o.User, o.Host, fmt.Sprint(o.Port), o.Config, o.server, dest}, "\x00")
	sum := sha256.Sum256([]byte(whole))
	readable := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' {
			return c
		}
		return '_'
	}, o.Host+"_"+o.server)
	return readable[:min(len(readable), 80)] + "-" + hex.EncodeToString(sum[:6]), nil
}

// privateDir returns the directory key in base. Nobody but the current user and root can have put anything there: base, which may be
// in a directory such as /var/tmp, and key are checked. With create missing ones are made; otherwise the error is fs.ErrNotExist.
func privateDir(base, key string, create bool) (string, error) {
	dir := filepath.Join(base, key)
	for _, path := range []string{base, dir} {
		if create {
			if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
				return "", err
			}
		}
		info, err := os.Lstat(path)
		if err != nil {
			return "", err
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		owner := ok && (int(st.Uid) == os.Geteuid() || path == base && st.Uid == 0)
		forbidden := fs.FileMode(0o077)
		if path == base {
			forbidden = 0o022 // as Python's client makes it
		}
		switch {
		case !info.IsDir():
			return "", fmt.Errorf("%s is not a directory", path)
		case !owner:
			return "", fmt.Errorf("%s belongs to another user", path)
		case info.Mode().Perm()&forbidden != 0:
			return "", fmt.Errorf("%s has mode %04o, and must not be open to others: chmod 700 %[1]s", path, info.Mode().Perm())
		}
	}
	return dir, nil
}
