package recovery

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/barman-go/barman/sdk/transfer"
)

// configFiles are examined in every data directory; auxiliary files are only looked for.
var (
	configFiles    = []string{"postgresql.conf", "postgresql.auto.conf"}
	auxiliaryFiles = []string{"pg_hba.conf", "pg_ident.conf"}
)

// maxIncludes bounds the number of files followed; PostgreSQL allows ten levels.
const maxIncludes = 200

// secureSettings switches off the settings of the restored files that would be dangerous in a copy, and adds the
// recovery settings. Included files are followed as long as they lie in the data directory.
func (r *restore) secureSettings(ctx context.Context, res *Result, lines []string) error {
	recovery := recoveryFile(r.plan.Backup.Version, r.options)
	queue := slices.Clone(configFiles)
	if r.plan.Backup.Version >= versionSignals && len(lines) > 0 && !slices.Contains(queue, recovery) {
		queue = append(queue, recovery)
	}
	direct := len(queue)
	var changes []transfer.FileChange
	for i := 0; i < len(queue) && i < maxIncludes; i++ {
		file := queue[i]
		path := filepath.Join(r.plan.Destination, file)
		content, err := r.copier.ReadFile(ctx, r.options.Remote, path, 0)
		missing := errors.Is(err, fs.ErrNotExist)
		appends := file == recovery && len(lines) > 0
		switch {
		case missing && !appends:
			if slices.Contains(configFiles, file) {
				res.MissingFiles = append(res.MissingFiles, file)
			}
			continue
		case err != nil && !missing:
			return err
		case missing:
			content.Mode = 0o600
			changes = append(changes, transfer.FileChange{Action: transfer.Mkdir, Path: filepath.Dir(path), Mode: 0o700})
		}
		m := mangle(file, string(content.Content))
		res.Changes = append(res.Changes, m.changes...)
		res.Warnings = append(res.Warnings, m.warnings...)
		if i < direct || len(m.changes) > 0 {
			changes = append(changes, transfer.FileChange{
				Action: transfer.Write, Path: path + ".origin", Content: content.Content, Mode: content.Mode,
			})
		}
		if appends {
			m.appendLines(lines)
		}
		if m.content != string(content.Content) || missing {
			changes = append(changes, transfer.FileChange{
				Action: transfer.Write, Path: path, Content: []byte(m.content), Mode: content.Mode,
			})
		}
		for _, included := range r.includes(m.includes) {
			if !slices.Contains(queue, included) {
				queue = append(queue, included)
			}
		}
	}
	if _, err := r.copier.ApplyFiles(ctx, r.options.Remote, changes); err != nil {
		return err
	}
	return r.findAuxiliary(ctx, res)
}

func (r *restore) findAuxiliary(ctx context.Context, res *Result) error {
	var paths []string
	for _, file := range auxiliaryFiles {
		paths = append(paths, filepath.Join(r.plan.Destination, file))
	}
	infos, err := r.copier.Stat(ctx, r.options.Remote, paths)
	if err != nil {
		return err
	}
	for i, info := range infos {
		if !info.Exists {
			res.MissingFiles = append(res.MissingFiles, auxiliaryFiles[i])
		}
	}
	return nil
}

// filesIn lists the files of a directory of the restored data directory: in the backup, whose tree is the same, or where
// the backup was unpacked.
func (r *restore) filesIn(dir string) []string {
	if r.sent != nil {
		return r.sent.below(dir)
	}
	tree := r.data
	if r.plan.inPlace() {
		tree = r.plan.Destination
	}
	return filesIn(filepath.Join(tree, dir))
}

// filesIn lists a directory; none when it cannot be read.
func filesIn(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// includes returns the files that include lines name, relative to the data directory.
func (r *restore) includes(lines []Setting) []string {
	var files []string
	for _, line := range lines {
		files = append(files, includedFiles(line, r.plan.Backup.PGData, r.filesIn)...)
	}
	return files
}

// includedFiles are those that an include line names, relative to the data directory; pgdata is where that was, list lists a
// directory of it.
func includedFiles(line Setting, pgdata string, list func(dir string) []string) []string {
	name := unquote(line.Value)
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(line.File), name)
	} else if rel, err := filepath.Rel(pgdata, name); err == nil {
		// The same file of the original data directory; the path itself is in the warnings.
		name = rel
	}
	switch {
	case !filepath.IsLocal(name):
		return nil
	case line.Key != "include_dir":
		return []string{name}
	}
	var files []string
	for _, file := range list(name) {
		if strings.HasSuffix(file, ".conf") && !strings.HasPrefix(file, ".") {
			files = append(files, filepath.Join(name, file))
		}
	}
	return files
}
