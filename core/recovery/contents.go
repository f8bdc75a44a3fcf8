package recovery

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// content is what an archive holds when it is unpacked, without what is not restored.
type content struct{ bytes, files int64 }

// contents are by tablespace, 0 for the data directory; nil when nobody knows.
type contents map[uint32]content

// total is the sum over all.
func (c contents) total() content {
	var sum content
	for _, one := range c {
		sum.bytes += one.bytes
		sum.files += one.files
	}
	return sum
}

// readContents adds up the files that a backup_manifest lists (PostgreSQL manual, "Backup Manifest Format"). It is nil when
// there is none: PostgreSQL has them since 13. The list is read as a stream; it may have a million entries.
func readContents(path string) (_ contents, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", path, err)
		}
	}()
	in := json.NewDecoder(bufio.NewReaderSize(f, pipeRead))
	for {
		token, err := in.Token()
		if err != nil {
			return nil, err
		}
		if token == "Files" {
			break
		}
	}
	if _, err := in.Token(); err != nil { // [
		return nil, err
	}
	all := contents{0: {}}
	for in.More() {
		var file struct {
			Path        string `json:"Path"`
			EncodedPath string `json:"Encoded-Path"`
			Size        int64  `json:"Size"`
		}
		if err := in.Decode(&file); err != nil {
			return nil, err
		}
		if file.EncodedPath != "" {
			name, err := hex.DecodeString(file.EncodedPath)
			if err != nil {
				return nil, err
			}
			file.Path = string(name)
		}
		all.add(file.Path, file.Size)
	}
	return all, nil
}

func (c contents) add(name string, size int64) {
	var oid uint32
	if rest, found := strings.CutPrefix(name, "pg_tblspc/"); found {
		number, _, _ := strings.Cut(rest, "/")
		id, err := strconv.ParseUint(number, 10, 32)
		if err != nil {
			return
		}
		oid = uint32(id)
	} else if matches(unpackedExclude, name) {
		return
	}
	one := c[oid]
	c[oid] = content{one.bytes + size, one.files + 1}
}

// measureArchives computes how much each directory receives from the archives. Where the manifest does not tell, it is at
// least what the archive takes itself; and a cluster without tablespaces is as large as PostgreSQL said before the backup.
func (p *Plan) measureArchives() (data int64, tablespaces []int64) {
	for _, a := range p.Archives {
		need := a.Bytes
		if one, known := p.contents[a.OID]; known {
			need = one.bytes
		} else if a.base() && len(p.Archives) == 1 && p.Backup.ClusterSize.Valid {
			need = max(need, p.Backup.ClusterSize.N)
		}
		if a.base() {
			data = need
		} else {
			tablespaces = append(tablespaces, need)
		}
	}
	return data, tablespaces
}

// readPlanContents reads the manifest of a tar backup.
func (p *Plan) readPlanContents(data string) {
	if len(p.Archives) == 0 {
		return
	}
	var err error
	if p.contents, err = readContents(filepath.Join(data, manifestFile)); err != nil {
		p.warn("The manifest of the backup cannot be read, so the archives cannot be compared with it: %v", err)
	}
}
