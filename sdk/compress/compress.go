package compress

import (
	"context"
	"io"
)

// ServiceName is the gRPC service, as listed in GetInfo.
const ServiceName = "barman.compress.v1"

// Compressor encodes and decodes streams.
type Compressor interface {
	// Formats lists what it can read and write; at least one. The first one is the default for encoding.
	Formats() []Format
	// Compress reads plain data from src until io.EOF and writes it encoded to dst. dst is a file.
	Compress(ctx context.Context, o Options, dst io.Writer, src io.Reader) error
	// Decompress reads encoded data from src and writes it plain to dst. Damaged input must give an error, never
	// shortened output. The SDK has made sure that src is at least as long as the format's magic, so an empty file is
	// refused without being asked for.
	Decompress(ctx context.Context, o Options, dst io.Writer, src io.Reader) error
}

// Format is a file format.
type Format struct {
	// ID is the name recorded in the WAL index, such as "zstd".
	ID string
	// Magic are the bytes by which a stored file is recognised; empty if it cannot be recognised.
	Magic []byte
	// MagicOffset is where the magic starts, in bytes.
	MagicOffset int64
	// Extension is the customary one, with the period.
	Extension     string
	CanCompress   bool
	CanDecompress bool
	// Levels is nil for a format without levels.
	Levels *Levels
}

// Levels are the compression levels of a format.
type Levels struct {
	Min, Max int
	// Low, Medium and High are what the words of `compression_level` mean.
	Low, Medium, High int
}

// Options of one call.
type Options struct {
	// Format is the ID of one of the compressor's formats.
	Format string
	// Level is within the format's Levels; 0 for a format without levels.
	Level int
}

// FileRequest asks for one file to be encoded or decoded. Paths are absolute. Destination must not exist, or be a named pipe
// that the caller has open for reading: then what comes out is written into it, in order, and the pipe stays.
type FileRequest struct {
	// Op correlates log lines.
	Op          string
	Source      string
	Destination string
	Options
}

// FileResult measures one call.
type FileResult struct {
	PlainBytes   int64
	EncodedBytes int64
	// PlainCRC32 is the CRC-32 (IEEE) of the plain bytes.
	PlainCRC32 uint32
}
