package recovery

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/barman-go/barman/core/catalog"
)

// tarFormat is a compression of tar backups.
type tarFormat struct {
	// extension follows ".tar" in the names of the archives.
	extension string
	// codec is the format that a compress plugin decodes; empty for archives that are not compressed.
	codec string
	// program decodes it on another host: GNU tar finds out by itself how to call it. Empty for none.
	program string
}

// tarFormats are the values of `compression` in backup.info (Barman manual, "Backup Compression").
var tarFormats = map[string]tarFormat{
	"gzip": {extension: ".gz", codec: "gzip", program: "gzip"},
	"lz4":  {extension: ".lz4", codec: "lz4", program: "lz4"},
	"zstd": {extension: ".zst", codec: "zstd", program: "zstd"},
	"none": {},
}

// Way is how the content of a backup gets to the destination.
type Way int

// Ways.
const (
	// CopyFiles: the backup is a tree of files, which are copied.
	CopyFiles Way = iota
	// UnpackHere: archives are unpacked into a destination on this host.
	UnpackHere
	// UnpackStaged: archives are unpacked into the staging path on this host, and the files are copied to the other one.
	UnpackStaged
	// UnpackThere: archives are sent as they are, and tar unpacks them on the other host.
	UnpackThere
	// CombineHere: an incremental backup is combined with those it is based on, into a destination on this host.
	CombineHere
	// CombineStaged: it is combined in the staging path on this host, and the files are copied to the other one.
	CombineStaged
)

// staged tells whether the restore uses a work area on this host.
func (p *Plan) staged() bool {
	return p.Way == UnpackStaged || p.combines() && p.StagingPath != ""
}

// inPlace tells whether the whole content of the backup, pg_control included, is brought to the destination at once.
func (p *Plan) inPlace() bool { return p.Way == UnpackHere || p.Way == CombineHere }

// Archive is one tar file of a backup.
type Archive struct {
	// Label is the name of the tablespace, or "pgdata".
	Label string
	// OID is that of the tablespace; 0 for the data directory.
	OID  uint32
	Path string
	// Bytes is the size of the file.
	Bytes int64
	// Directory at the destination that the content belongs into.
	Directory string
}

func (a Archive) base() bool { return a.OID == 0 }

// planArchives lists the archives of a tar backup and chooses the way to unpack them.
func (p *Plan) planArchives(o *Options, layout catalog.Layout) {
	format, tar := tarFormats[p.Backup.Compression]
	if !tar {
		return
	}
	p.warnDeprecatedStaging(o)
	p.format = format
	p.Way = UnpackHere
	if o.remote() {
		p.Way = UnpackStaged
		if stagingLocation(o) == stagingRemote {
			p.Way = UnpackThere
		}
		p.StagingPath = stagingPath(o)
	}
	data := layout.DataPath(p.Backup.ID)
	name := func(stem string) string { return filepath.Join(data, stem+".tar"+format.extension) }
	p.Archives = []Archive{{Label: "pgdata", Path: name("base"), Directory: p.Destination}}
	for _, t := range p.Tablespaces {
		p.Archives = append(p.Archives, Archive{
			Label: t.Name, OID: t.OID, Path: name(strconv.FormatUint(uint64(t.OID), 10)), Directory: t.Location,
		})
	}
}

// checkArchives looks at the archives of a tar backup.
func (p *Plan) checkArchives() {
	for i := range p.Archives {
		a := &p.Archives[i]
		info, err := os.Stat(a.Path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			p.refuse(fmt.Sprintf("Backup %s is damaged: %s does not exist", p.Backup.ID, a.Path), "Choose another backup.")
			continue
		case err != nil:
			p.refuse(fmt.Sprintf("Backup %s cannot be read: %v", p.Backup.ID, err), "Run the command as the user who owns the catalog.")
			continue
		}
		a.Bytes = info.Size()
		if err := p.checkArchive(a.Path, a.Bytes); err != nil {
			p.refuse(fmt.Sprintf("Backup %s is damaged: %s: %v", p.Backup.ID, a.Path, err), "Choose another backup.")
		}
	}
}

// tarBlock is the unit of tar files, in bytes; two of them, empty, end an archive.
const tarBlock = 512

// checkArchive notices, without reading it all, an archive that was cut. What is compressed says so itself when it is
// decoded; an archive that is not may have been cut between two files.
func (p *Plan) checkArchive(path string, size int64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	if size == 0 {
		return errors.New("the file is empty")
	}
	if p.format.codec != "" {
		return nil
	}
	end := make([]byte, 2*tarBlock)
	if size%tarBlock != 0 || size < int64(len(end)) {
		return io.ErrUnexpectedEOF
	}
	if _, err := f.ReadAt(end, size-int64(len(end))); err != nil {
		return err
	}
	for _, b := range end {
		if b != 0 {
			return errors.New("the file is cut short: the end of the archive is missing")
		}
	}
	return nil
}
