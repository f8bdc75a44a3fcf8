package pluginhost

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sort"
	"strings"
)

// Lock is the content of a lock file: the digest of every plugin that may run. A plugin that it does not name may not.
//
//	# plugins of barman, written by `barman plugin lock`
//	5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef  compress/zstd
type Lock struct {
	// Digests are SHA-256 in hexadecimal, by "type/name".
	Digests map[string]string
	// Path is where it was read, for messages.
	Path string
}

// ReadLock reads a lock file, which must itself be trusted. Without the file it returns nil and no error.
func ReadLock(path string) (*Lock, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("plugin lock file: %w", err)
	}
	info, err := os.Stat(path)
	if err == nil {
		err = checkOwner(path, info)
	}
	if err != nil {
		return nil, fmt.Errorf("plugin lock file: %w", err)
	}
	l, err := parseLock(content)
	if err != nil {
		return nil, fmt.Errorf("plugin lock file %s: %w", path, err)
	}
	l.Path = path
	return l, nil
}

func parseLock(content []byte) (*Lock, error) {
	l := &Lock{Digests: map[string]string{}}
	lines := bufio.NewScanner(bytes.NewReader(content))
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		fields := strings.Fields(text)
		if len(fields) != 2 || !isDigest(fields[0]) || !strings.Contains(fields[1], "/") {
			return nil, fmt.Errorf("line %d: want a SHA-256 digest and type/name, found %q", n, text)
		}
		l.Digests[fields[1]] = strings.ToLower(fields[0])
	}
	return l, lines.Err()
}

// Encode returns the content of the lock file.
func (l *Lock) Encode() []byte {
	keys := make([]string, 0, len(l.Digests))
	for k := range l.Digests {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	var b bytes.Buffer
	b.WriteString("# plugins of barman, written by `barman plugin lock`\n")
	for _, k := range keys {
		fmt.Fprintf(&b, "%s  %s\n", l.Digests[k], k)
	}
	return b.Bytes()
}

func isDigest(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 32
}
