package fsx

import (
	"errors"
	"io"
	"os"
	"time"
)

// Redirty writes the content of a file again, in place and unchanged, after an fsync of it has failed: the kernel marks pages that it could
// not write as clean, and reports that once, so that the next fsync would succeed without them. For complete files that stay where they
// are; a temporary file is better removed and made again. Nothing is durable afterwards that was not before, and nothing is lost.
func Redirty(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return wrap("open", path, err)
	}
	err = redirty(f)
	return errors.Join(wrap("write", path, err), wrap("close", path, f.Close()))
}

func redirty(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	block := make([]byte, 1<<20)
	for offset := int64(0); offset < info.Size(); {
		n, err := f.ReadAt(block, offset)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if n == 0 {
			break // somebody has cut it
		}
		if _, err := f.WriteAt(block[:n], offset); err != nil {
			return err
		}
		offset += int64(n)
	}
	return os.Chtimes(f.Name(), time.Time{}, info.ModTime())
}
