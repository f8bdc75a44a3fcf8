package recovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/barman-go/barman/core/report"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/sdk/transfer"
)

// Place is what was found under a directory that a restore fills.
type Place struct {
	transfer.PathInfo
	// Disk identifies the file system; empty when unknown.
	Disk string
}

// Found is what was found at the destination.
type Found struct {
	// Places are by directory: the destination, the tablespaces' locations, the staging WAL directory.
	Places map[string]Place
	// Staging is the work area on this host, if the plan has one.
	Staging Place
	// Postmaster is the process of postmaster.pid; 0 when there is no such file, −1 when nobody can tell whether the
	// process lives.
	Postmaster int
	// Marker is what an interrupted restore left; nil when there was none. Started tells that PostgreSQL has been started
	// there since: the restore was complete but for the removal of the marker.
	Marker  *Marker
	Started bool
	// Info is the backup.info of an earlier restore, for a delta restore.
	Info []byte
	// Version is the content of PG_VERSION, such as 15; empty when there is no data directory.
	Version string
	// Cluster is the system identifier in the destination's pg_control; 0 when there is none that can be read. Only a delta restore
	// looks at it.
	Cluster wal.SystemID
}

// Marker is the content of IncompleteFile.
type Marker struct {
	Server string `json:"server"`
	Backup string `json:"backup_id"`
	// Directories are all that the restore fills.
	Directories []string `json:"directories"`
	Note        string   `json:"note"`
}

const markerNote = "A restore into this directory is not complete; PostgreSQL cannot start on it. " +
	"Run the same barman command again to continue, or remove the directory."

// directories are all directories that the plan fills, the destination first.
func (p *Plan) directories() []string {
	dirs := []string{p.Destination}
	for _, t := range p.Tablespaces {
		dirs = append(dirs, t.Location)
	}
	if p.WALDirectory != "" && !inside(p.WALDirectory, p.Destination) {
		dirs = append(dirs, p.WALDirectory)
	}
	return dirs
}

// inside tells whether path is dir or below it.
func inside(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}

// look gathers what is at the destination.
func look(ctx context.Context, c Copier, remote []string, p *Plan) (*Found, error) {
	dirs := p.directories()
	infos, err := c.Stat(ctx, remote, dirs)
	if err != nil {
		return nil, fmt.Errorf("look at the destination: %w", err)
	}
	f := &Found{Places: map[string]Place{}}
	for i, dir := range dirs {
		f.Places[dir] = Place{PathInfo: infos[i]}
		if len(remote) == 0 {
			f.Places[dir] = Place{PathInfo: infos[i], Disk: diskOf(dir)}
		}
	}
	if p.staged() {
		infos, err := c.Stat(ctx, nil, []string{p.StagingPath})
		if err != nil {
			return nil, fmt.Errorf("look at the staging path: %w", err)
		}
		f.Staging = Place{PathInfo: infos[0], Disk: diskOf(p.StagingPath)}
	}
	if !f.Places[p.Destination].HasEntries {
		return f, nil
	}
	if content, err := readOptional(ctx, c, remote, filepath.Join(p.Destination, IncompleteFile)); err != nil {
		return nil, err
	} else if content != nil {
		f.Marker = &Marker{}
		if err := json.Unmarshal(content, f.Marker); err != nil {
			// Nobody can tell which restore it was; it is treated like any other content.
			f.Marker = nil
		}
		// PostgreSQL writes it once it has found a whole pg_control, and no backup has it.
		opts, err := c.Stat(ctx, remote, []string{filepath.Join(p.Destination, "postmaster.opts")})
		if err != nil {
			return nil, fmt.Errorf("look at the destination: %w", err)
		}
		f.Started = opts[0].Exists
	}
	if f.Info, err = readOptional(ctx, c, remote, filepath.Join(p.Destination, InfoFile)); err != nil {
		return nil, err
	}
	pid, err := readOptional(ctx, c, remote, filepath.Join(p.Destination, "postmaster.pid"))
	if err != nil {
		return nil, err
	}
	f.Postmaster = postmaster(string(pid), len(remote) == 0)
	version, err := readOptional(ctx, c, remote, filepath.Join(p.Destination, "PG_VERSION"))
	f.Version = strings.TrimSpace(string(version))
	if err != nil || !p.Delta {
		return f, err
	}
	control, err := readOptional(ctx, c, remote, filepath.Join(p.Destination, controlFile))
	f.Cluster = clusterOf(control)
	return f, err
}

func readOptional(ctx context.Context, c Copier, remote []string, path string) ([]byte, error) {
	content, err := c.ReadFile(ctx, remote, path, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && content.Content == nil {
		return []byte{}, nil
	}
	return content.Content, err
}

// postmaster returns the process in the first line of postmaster.pid if it may live.
func postmaster(content string, local bool) int {
	if content == "" {
		return 0
	}
	line, _, _ := strings.Cut(content, "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || pid <= 0 || !local {
		return -1
	}
	if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
		return 0
	}
	return pid
}

// diskOf identifies the file system of the nearest existing directory.
func diskOf(path string) string {
	for {
		info, err := os.Stat(path)
		if err == nil {
			if stat, ok := info.Sys().(*syscall.Stat_t); ok {
				return strconv.FormatUint(stat.Dev, 10)
			}
			return ""
		}
		parent := filepath.Dir(path)
		if parent == path {
			return ""
		}
		path = parent
	}
}

// checkDestinationFound decides whether the destination can take the restore.
func (p *Plan) checkDestinationFound(f *Found) {
	p.Resumed = f.Marker != nil && f.Marker.Server == p.Server && f.Marker.Backup == p.Backup.ID
	for i, dir := range p.directories() {
		place := f.Places[dir]
		switch {
		case place.Exists && place.Type == "symlink":
			p.refuse(fmt.Sprintf("The destination '%s' is a symbolic link", dir), "Give the directory itself.")
		case place.Exists && place.Type != "directory":
			p.refuse(fmt.Sprintf("The destination '%s' is not a directory", dir), "Choose a different location.")
		case !place.Writable:
			p.refuse(fmt.Sprintf("The destination '%s' cannot be written by the restoring user", dir),
				"Create it, or change the owner or the mode of the directory that is to hold it.")
		case place.HasEntries && !p.mayHaveContent(dir, f):
			p.refuse(notEmpty(i, dir, p), f.remains())
		}
	}
	if wanted := versionText(p.Backup.Version); f.Version != "" && f.Version != wanted {
		p.refuse(fmt.Sprintf("The destination '%s' holds a cluster of PostgreSQL %s, and the backup is of PostgreSQL %s",
			p.Destination, f.Version, wanted), "Choose a different location.")
	}
	p.checkCluster(f)
	switch {
	case p.Resumed && f.Started && !p.Delta:
		p.refuse(fmt.Sprintf("PostgreSQL has been started in the destination '%s' since its restore, which was complete but for a last step", p.Destination),
			fmt.Sprintf("Remove %s to go on using that server, or empty the directory to restore again.", filepath.Join(p.Destination, IncompleteFile)))
	case f.Postmaster > 0:
		p.refuse(fmt.Sprintf("PostgreSQL is running in the destination '%s' (process %d)", p.Destination, f.Postmaster), "Stop it first.")
	case f.Postmaster < 0:
		p.refuse(fmt.Sprintf("PostgreSQL may be running in the destination '%s': there is a file postmaster.pid", p.Destination),
			"Stop the server, or remove the file when it is not running.")
	}
}

// mayHaveContent tells whether a directory that is not empty may be used.
func (p *Plan) mayHaveContent(dir string, f *Found) bool {
	if p.Resumed {
		for _, d := range f.Marker.Directories {
			if d == dir {
				return true
			}
		}
	}
	// A staging WAL directory is removed at the end of recovery, with all that it holds.
	return p.Delta && dir != p.WALDirectory
}

// remains says how to go on with an interrupted restore of another backup.
func (f *Found) remains() string {
	if f.Marker == nil {
		return ""
	}
	return fmt.Sprintf("An interrupted restore of backup %s of server %s is there: give that backup, and the same options, to continue it.",
		f.Marker.Backup, f.Marker.Server)
}

func notEmpty(i int, dir string, p *Plan) string {
	what := "destination folder"
	switch {
	case i > len(p.Tablespaces):
		what = "staging WAL directory"
	case i > 0:
		what = "tablespace " + p.Tablespaces[i-1].Name + " destination folder"
	}
	return fmt.Sprintf("The restore operation cannot proceed because the %s '%s' is not empty. To prevent accidental data loss, "+
		"the destination must be empty. Please choose a different location or manually empty the folder.", what, dir)
}

// checkSpace compares what is needed with what is free, for each file system.
func (p *Plan) checkSpace() {
	need := map[string]int64{}
	for _, s := range p.Space {
		if s.Disk != "" {
			need[s.Disk] += s.Need
		}
	}
	told := map[string]bool{}
	for _, s := range p.Space {
		wanted := s.Need
		if s.Disk != "" {
			wanted = need[s.Disk]
		}
		if s.Free < 0 || wanted <= s.Free || told[s.Disk] && s.Disk != "" {
			continue
		}
		told[s.Disk] = true
		p.refuse(fmt.Sprintf("There is not enough space for the restore on the file system of '%s': %s are needed, %s are free",
			s.Directory, report.Size(wanted), report.Size(s.Free)),
			"Make room, choose another destination, or relocate tablespaces with --tablespace.")
	}
}
