package archive

import (
	"bufio"
	"bytes"
	"crypto/md5" //nolint:gosec // clients of older versions send MD5SUMS; it guards against accidents, not attacks
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
)

// Names of the checksum members of a put-wal stream.
const (
	sha256Member = "SHA256SUMS"
	md5Member    = "MD5SUMS"
)

// checksums are the sums that a put-wal stream claims for its files. A stream uses one algorithm.
type checksums struct {
	md5  bool
	sums map[string]string
	// order is that of the stream, for messages in a stable order.
	order []string
}

// add reads a checksum member: lines "HEX *NAME" or "HEX  NAME". A line of another form is returned in bad.
func (c *checksums) add(member string, content []byte) (bad []string) {
	if member == md5Member {
		c.md5 = true
	}
	if c.sums == nil {
		c.sums = map[string]string{}
	}
	lines := bufio.NewScanner(bytes.NewReader(content))
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), "\r")
		sum, name, ok := strings.Cut(line, " ")
		if !ok || name == "" || (name[0] != '*' && name[0] != ' ') {
			bad = append(bad, line)
			continue
		}
		name = strings.TrimPrefix(name[1:], "./")
		if _, seen := c.sums[name]; !seen {
			c.order = append(c.order, name)
		}
		c.sums[name] = strings.ToLower(sum)
	}
	return bad
}

func (c *checksums) newHash() hash.Hash {
	if c.md5 {
		return md5.New() //nolint:gosec // see the import
	}
	return sha256.New()
}

func hexSum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// verify compares the received files, name to sum, with the claimed sums. Every difference is one problem.
func (c *checksums) verify(got map[string]string, order []string) (problems []string) {
	for _, name := range c.order {
		sum, ok := got[name]
		switch {
		case !ok:
			problems = append(problems, fmt.Sprintf("Checksum without corresponding file '%s'", name))
		case sum != c.sums[name]:
			problems = append(problems, fmt.Sprintf("Bad file checksum '%s' (should be %s) for file '%s'", sum, c.sums[name], name))
		}
	}
	for _, name := range order {
		if _, ok := c.sums[name]; !ok {
			problems = append(problems, fmt.Sprintf("Missing checksum for file '%s'", name))
		}
	}
	return problems
}
