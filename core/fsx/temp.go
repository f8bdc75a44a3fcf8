package fsx

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// TempSuffix ends the name of every temporary file.
const TempSuffix = ".tmp"

// maxName is NAME_MAX, the longest name that Linux file systems take, in bytes.
const maxName = 255

// TempPath is a new name for a temporary file beside final, for a program that creates the file itself. The file does
// not exist; random bits make it unlikely that another process chooses the same name, and O_EXCL makes it harmless.
func TempPath(final string) string {
	dir, name := filepath.Split(final)
	var random [4]byte
	rand.Read(random[:])
	tail := "." + strconv.Itoa(os.Getpid()) + "-" + hex.EncodeToString(random[:]) + TempSuffix
	// The original name is for people only, so a long one may be cut.
	return filepath.Join(dir, "."+name[:min(len(name), maxName-1-len(tail))]+tail)
}

// CreateTemp creates a temporary file beside final with exactly the given mode, open for reading and writing. The
// caller closes it and then publishes or removes it; after a crash Sweep does.
func CreateTemp(final string, mode fs.FileMode) (*os.File, error) {
	for {
		path := TempPath(final)
		// The mode of open is subject to the umask, that of chmod is not; 0600 keeps others out in between.
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, wrap("create", path, err)
		}
		if err := f.Chmod(mode); err != nil {
			return nil, errors.Join(wrap("chmod", path, err), f.Close(), os.Remove(path))
		}
		return f, nil
	}
}

// ParseTempName takes the name of a temporary file (without directory) apart: the final name, possibly cut, and the
// process that made it. ok is false for any other name.
func ParseTempName(name string) (final string, pid int, ok bool) {
	rest, isTemp := strings.CutSuffix(name, TempSuffix)
	rest, isHidden := strings.CutPrefix(rest, ".")
	dot := strings.LastIndexByte(rest, '.')
	if !isTemp || !isHidden || dot <= 0 {
		return "", 0, false
	}
	owner, random, found := strings.Cut(rest[dot+1:], "-")
	pid, err := strconv.Atoi(owner)
	if !found || err != nil || pid <= 0 || len(random) != 8 {
		return "", 0, false
	}
	if _, err := hex.DecodeString(random); err != nil {
		return "", 0, false
	}
	return rest[:dot], pid, true
}
