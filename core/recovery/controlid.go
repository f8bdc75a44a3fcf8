package recovery

import (
	"encoding/binary"

	"github.com/barman-go/barman/core/wal"
)

// The begin of a pg_control file (PostgreSQL's src/include/catalog/pg_control.h): the system identifier, and the version of the file's
// format, such as 1300, in the byte order of its host.
const (
	controlVersionAt = 8
	controlHead      = 12
	// Versions of the format: of PostgreSQL 8.0 the one, far ahead the other. In the wrong byte order a version is not between them.
	minControlVersion, maxControlVersion = 74, 9999
)

// clusterOf returns the system identifier in the content of a pg_control file, 0 when it is none.
func clusterOf(control []byte) wal.SystemID {
	if len(control) < controlHead {
		return 0
	}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		if v := order.Uint32(control[controlVersionAt:]); v >= minControlVersion && v <= maxControlVersion {
			return wal.SystemID(order.Uint64(control))
		}
	}
	return 0
}

// checkCluster refuses to replace a cluster by a backup of another one: whoever restores over what is there means that cluster.
func (p *Plan) checkCluster(f *Found) {
	wanted, err := wal.ParseSystemID(p.Backup.SystemID)
	if err != nil || f.Cluster == 0 || f.Cluster == wanted {
		return
	}
	p.refuse("The destination '"+p.Destination+"' holds another cluster than that of the backup: its system identifier is "+
		f.Cluster.String()+", and that of the backup "+wanted.String(),
		"Choose a different location, or empty the directory if nobody needs that cluster any more.")
}
