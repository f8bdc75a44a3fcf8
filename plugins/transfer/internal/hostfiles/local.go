package hostfiles

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/barman-go/barman/sdk/transfer"
)

func readLocal(path string, maxBytes int64) (transfer.FileContent, error) {
	info, err := os.Stat(path)
	if err != nil {
		return transfer.FileContent{}, err
	}
	if !info.Mode().IsRegular() {
		return transfer.FileContent{}, notRegular(path)
	}
	f, err := os.Open(path)
	if err != nil {
		return transfer.FileContent{}, err
	}
	defer f.Close() //nolint:errcheck // only read
	content, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err != nil {
		return transfer.FileContent{}, err
	}
	if int64(len(content)) > maxBytes {
		return transfer.FileContent{}, tooLarge(path, maxBytes)
	}
	return transfer.FileContent{Content: content, Mode: info.Mode().Perm()}, nil
}

func applyLocal(ctx context.Context, changes []transfer.FileChange) (int, error) {
	for done, c := range changes {
		if err := ctx.Err(); err != nil {
			return done, err
		}
		if err := changeLocal(c); err != nil {
			return done, err
		}
	}
	return len(changes), nil
}

func changeLocal(c transfer.FileChange) error {
	path := filepath.Clean(c.Path)
	switch c.Action {
	case transfer.Write:
		return writeLocal(path, c.Content, orDefault(c.Mode, defaultFileMode))
	case transfer.Mkdir:
		return mkdirLocal(path, orDefault(c.Mode, defaultDirMode))
	case transfer.Symlink:
		return linkLocal(path, c.Target)
	case transfer.Remove:
		err := os.Remove(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return syncDir(filepath.Dir(path))
	case transfer.Sync:
		return syncTree(path)
	default:
		target := filepath.Clean(c.Target)
		if err := os.Rename(path, target); err != nil {
			return err
		}
		// The new name first: after a crash the file may have both names or the new one, never none.
		return errors.Join(syncDir(filepath.Dir(target)), syncDir(filepath.Dir(path)))
	}
}

func orDefault(mode, def fs.FileMode) fs.FileMode {
	if mode.Perm() == 0 {
		return def
	}
	return mode.Perm()
}

// syncTree writes back the whole file system that holds a directory: one call, where a sync of each file takes as many
// as there are files.
func syncTree(dir string) error {
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		_ = f.Close()
		return &fs.PathError{Op: "syncfs", Path: dir, Err: err}
	}
	return f.Close()
}

// writeLocal writes a temporary file, syncs it, renames it and syncs the directory: after a crash the old content or the
// new is there.
func writeLocal(path string, content []byte, mode fs.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".barman-*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(content); err != nil {
		return err
	}
	// The temporary file is private; the caller's mode is meant as it is, whatever the umask.
	if err := f.Chmod(mode); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// mkdirLocal makes a directory and the parents that are missing, each durable.
func mkdirLocal(path string, mode fs.FileMode) error {
	if info, err := os.Stat(path); err == nil {
		if !info.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: path, Err: unix.ENOTDIR}
		}
		return nil
	}
	parent := filepath.Dir(path)
	if err := mkdirLocal(parent, defaultDirMode); err != nil {
		return err
	}
	if err := os.Mkdir(path, mode); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return err
	}
	if err := os.Chmod(path, mode); err != nil {
		return err
	}
	return syncDir(parent)
}

// linkLocal makes a link and gives it its name, so that the name never disappears in between.
func linkLocal(path, target string) error {
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink == 0 {
		return &fs.PathError{Op: "symlink", Path: path, Err: unix.EEXIST}
	}
	tmp := filepath.Join(filepath.Dir(path), ".barman-"+rand.Text()+".tmp")
	if err := os.Symlink(target, tmp); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		_ = os.Remove(tmp)
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close() //nolint:errcheck // only read
	return d.Sync()
}

func statLocal(ctx context.Context, paths []string) ([]transfer.PathInfo, error) {
	infos := make([]transfer.PathInfo, len(paths))
	for i, path := range paths {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var err error
		if infos[i], err = statOne(filepath.Clean(path)); err != nil {
			return nil, err
		}
		infos[i].Path = path
	}
	return infos, nil
}

func statOne(path string) (transfer.PathInfo, error) {
	var p transfer.PathInfo
	info, err := os.Lstat(path)
	switch {
	case err == nil:
		p.Exists, p.Size, p.Modified, p.Type = true, info.Size(), info.ModTime(), typeOf(info.Mode())
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR):
		return p, err
	}
	if p.Type == "directory" {
		d, err := os.Open(path)
		if err != nil {
			return p, err
		}
		names, err := d.Readdirnames(1)
		_ = d.Close()
		if err != nil && !errors.Is(err, io.EOF) {
			return p, err
		}
		p.HasEntries = len(names) > 0
	}
	dir := existingDir(path)
	var fsinfo unix.Statfs_t
	if err := unix.Statfs(dir, &fsinfo); err != nil {
		return p, &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	p.FreeBytes = int64(fsinfo.Bavail) * fsinfo.Frsize
	p.Writable = unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS) == nil
	return p, nil
}

func typeOf(mode fs.FileMode) string {
	switch {
	case mode.IsRegular():
		return "file"
	case mode.IsDir():
		return "directory"
	case mode&fs.ModeSymlink != 0:
		return "symlink"
	}
	return "other"
}

// existingDir returns path when it is a directory, and otherwise the nearest parent that is.
func existingDir(path string) string {
	for {
		if info, err := os.Stat(path); (err == nil && info.IsDir()) || path == "/" {
			return path
		}
		path = filepath.Dir(path)
	}
}
