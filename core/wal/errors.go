package wal

import "errors"

// Errors about texts that cannot be parsed. They are wrapped with the text found and what was wanted.
var (
	// ErrInvalidLSN means a text is not of the form X/Y.
	ErrInvalidLSN = errors.New("invalid LSN")
	// ErrInvalidName means a text is not the name of a WAL file.
	ErrInvalidName = errors.New("not the name of a WAL file")
	// ErrInvalidSegmentSize means a number cannot be a WAL segment size.
	ErrInvalidSegmentSize = errors.New("invalid WAL segment size")
	// ErrInvalidSystemID means a text is not a system identifier.
	ErrInvalidSystemID = errors.New("invalid system identifier")
)
