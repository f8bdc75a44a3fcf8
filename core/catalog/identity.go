package catalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/barman-go/barman/core/fsx"
)

// Identity ties a catalog to one PostgreSQL cluster. Both values are texts.
type Identity struct {
	// SystemID is the system identifier in decimal digits.
	SystemID string `json:"systemid"`
	// Version is the major version of the server, such as 17 or 9.6.
	Version string `json:"version"`
}

// Identity reads identity.json; found is false when there is none yet.
func (c *Catalog) Identity() (id Identity, found bool, err error) {
	path := c.Layout.IdentityPath()
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Identity{}, false, nil
	}
	if err != nil {
		return Identity{}, false, err
	}
	if err := json.Unmarshal(data, &id); err != nil {
		return Identity{}, false, fmt.Errorf("%s: %w", path, err)
	}
	return id, true, nil
}

// WriteIdentity writes identity.json durably unless it exists: a catalog gets its identity once. It tells whether it
// wrote.
func (c *Catalog) WriteIdentity(id Identity) (written bool, err error) {
	path := c.Layout.IdentityPath()
	if found, err := exists(path); found || err != nil {
		return false, err
	}
	data, err := json.MarshalIndent(id, "", "    ")
	if err != nil {
		return false, err
	}
	if err := fsx.MkdirAll(c.Layout.Backup, dirMode); err != nil {
		return false, err
	}
	return true, fsx.WriteFile(path, append(data, '\n'), fileMode)
}

// isNotEmpty tells whether the removal of a directory failed only because something is in it.
func isNotEmpty(err error) bool { return errors.Is(err, unix.ENOTEMPTY) }
