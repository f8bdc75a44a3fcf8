package manifest

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"hash"
	"hash/crc32"
	"time"
)

// Name is what a manifest in a data directory is called.
const Name = "backup_manifest"

// TablespacesName is what the manifest of the tablespaces is called; it lies beside the data directory.
const TablespacesName = "backup_manifest.tablespaces"

// File is an entry of a manifest.
type File struct {
	// Path is relative to the data directory, separated by slashes; its bytes need not be UTF-8.
	Path string
	// Size is in bytes.
	Size int64
	// Modified is exact to the second; only written, never compared.
	Modified time.Time
	// Algorithm is one of those that PostgreSQL knows; empty when there is no checksum.
	Algorithm string
	Checksum  []byte
}

// sha256Algorithm is what manifests are written with.
const sha256Algorithm = "SHA256"

// algorithms are those of PostgreSQL's pg_basebackup, option --manifest-checksums.
var algorithms = map[string]func() hash.Hash{
	"CRC32C":        func() hash.Hash { return crc32c{crc32.New(crc32.MakeTable(crc32.Castagnoli))} },
	"SHA224":        sha256.New224,
	sha256Algorithm: sha256.New,
	"SHA384":        sha512.New384,
	"SHA512":        sha512.New,
}

// crc32c writes its sum as PostgreSQL does: the bytes of the number as they lie in memory.
type crc32c struct{ hash.Hash32 }

// Sum appends the bytes of the checksum.
func (c crc32c) Sum(b []byte) []byte { return binary.NativeEndian.AppendUint32(b, c.Sum32()) }
