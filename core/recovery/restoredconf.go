package recovery

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// maxIncludeDepth is PostgreSQL's limit (CONF_FILE_MAX_DEPTH).
const maxIncludeDepth = 10

// restoredConf are the settings that the restored server will have, by name in lower case, as far as the files of the backup tell.
// known is false when they do not hold the main configuration file.
type restoredConf struct {
	known  bool
	values map[string]string
}

// readConf reads the configuration in a copy of a data directory; pgdata is where that was. Later lines win, as in PostgreSQL.
func readConf(dir, pgdata string) restoredConf {
	c := restoredConf{values: map[string]string{}}
	for i, file := range configFiles {
		found := c.read(dir, file, pgdata, 0)
		c.known = c.known || i == 0 && found
	}
	return c
}

// read reads one file and what it includes. What cannot be read is left out: this is for people, and nothing is decided by it.
func (c *restoredConf) read(dir, file, pgdata string, depth int) bool {
	content, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil || depth > maxIncludeDepth {
		return false
	}
	for line := range strings.Lines(string(content)) {
		match := setting.FindStringSubmatch(line)
		if match == nil {
			continue
		}
		s := Setting{File: file, Key: strings.ToLower(match[1]), Value: match[2]}
		if !strings.HasPrefix(s.Key, "include") {
			c.values[s.Key] = unquote(s.Value)
			continue
		}
		list := func(sub string) []string { return filesIn(filepath.Join(dir, sub)) }
		for _, included := range includedFiles(s, pgdata, list) {
			c.read(dir, included, pgdata, depth+1)
		}
	}
	return true
}

// defaultPort is PostgreSQL's.
const defaultPort = 5432

// port is the port of the restored server, 0 when it is not known.
func (c *restoredConf) port() int {
	text, set := c.values["port"]
	switch {
	case !c.known:
		return 0
	case !set:
		return defaultPort
	}
	port, err := strconv.Atoi(text)
	if err != nil || port < 1 || port > 65535 {
		return 0
	}
	return port
}
