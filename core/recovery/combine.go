package recovery

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/barman-go/barman/sdk/toolexec"
)

const (
	combineTool = "pg_combinebackup"
	// combined is where a chain is combined, below a destination on this host: the program wants an empty directory, and pg_control
	// must not get its name before everything is durable.
	combined = ".barman-combine"
)

// checkCombiner finds the pg_combinebackup of the backup's version, which alone can combine a chain. It is looked for in path_prefix, in
// PATH, and where packages of PostgreSQL put it.
func (r *Restorer) checkCombiner(ctx context.Context, p *Plan) error {
	if !p.combines() {
		return nil
	}
	major := versionText(p.Backup.Version)
	prefix := append(append([]string{}, r.PathPrefix...), "/usr/lib/postgresql/"+major+"/bin", "/usr/pgsql-"+major+"/bin")
	var seen []string
	for _, path := range toolexec.Candidates(combineTool, prefix) {
		var out bytes.Buffer
		_, err := toolexec.Run(ctx, toolexec.Command{Name: path, Args: askVersion, Stdout: &out})
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		version := postgresVersion(out.String())
		if err == nil && leadingNumber(version) == major {
			p.combiner = path
			p.Tools = append(p.Tools, Tool{Name: combineTool, Found: true, Version: version})
			return nil
		}
		seen = append(seen, strings.TrimSpace(path+" "+version))
	}
	p.Tools = append(p.Tools, Tool{Name: combineTool})
	summary := fmt.Sprintf("%s of PostgreSQL %s is needed on this host to combine incremental backups, and was not found", combineTool, major)
	if len(seen) > 0 {
		summary += "; there is " + strings.Join(seen, ", ")
	}
	p.refuse(summary, "Install it, or name its directory in path_prefix.")
	return nil
}

// postgresVersion reads what PostgreSQL's programs say about themselves: "pg_combinebackup (PostgreSQL) 18beta1 (Debian …)".
func postgresVersion(said string) string {
	_, version, _ := strings.Cut(said, "(PostgreSQL) ")
	version, _, _ = strings.Cut(strings.TrimSpace(version), " ")
	return version
}

// leadingNumber is the major version in a version of PostgreSQL 10 or later.
func leadingNumber(version string) string {
	return version[:len(version)-len(strings.TrimLeft(version, "0123456789"))]
}

// combineBase fills the destination, or the work area, from a chain of backups.
func (r *restore) combineBase(ctx context.Context) error {
	if err := r.emptyResumed(ctx); err != nil {
		return err
	}
	if r.plan.StagingPath != "" {
		stage, err := newStaging(r.plan.StagingPath)
		if err != nil {
			return fmt.Errorf("staging path: %w", err)
		}
		// It goes when the restore ends, however that is.
		r.staging = stage
	}
	inputs, err := r.unpackChain(ctx)
	if err != nil {
		return err
	}
	if r.plan.Way == CombineStaged {
		r.data = r.staging.data()
		if err := r.combine(ctx, inputs, r.data, r.staging.tablespace); err != nil {
			return err
		}
		return r.copyFiles(ctx)
	}
	output := filepath.Join(r.plan.Destination, combined)
	locations := map[uint32]string{}
	for _, t := range r.plan.Tablespaces {
		locations[t.OID] = t.Location
	}
	if err := r.combine(ctx, inputs, output, func(oid uint32) string { return locations[oid] }); err != nil {
		return err
	}
	return settleCombined(output, r.plan.Destination)
}

// unpackChain returns the data directories of the chain, in order. Archives are unpacked in the work area, each backup in a
// directory of its own with the layout of the catalog.
func (r *restore) unpackChain(ctx context.Context) ([]string, error) {
	var inputs []string
	for _, member := range r.plan.chain {
		if len(member.Archives) == 0 {
			inputs = append(inputs, r.Catalog.Layout.DataPath(member.Backup.ID))
			continue
		}
		dir := filepath.Join(r.staging.dir, "of-"+member.Backup.ID)
		data := filepath.Join(dir, "data")
		place := func(a Archive) string {
			if a.base() {
				return data
			}
			return filepath.Join(dir, fmt.Sprint(a.OID))
		}
		for _, a := range member.Archives {
			if err := os.MkdirAll(place(a), 0o700); err != nil {
				return nil, err
			}
		}
		r.Out.Info("Unpacking the archives of backup %s in %s", member.Backup.ID, dir)
		// The rest of the restore has nothing to do with this backup.
		one := *r
		one.plan = member
		if err := one.unpackAll(ctx, place, nil); err != nil {
			return nil, err
		}
		if err := one.completeUnpacked(data, dir); err != nil {
			return nil, err
		}
		inputs = append(inputs, data)
	}
	return inputs, nil
}

// completeUnpacked adds what is not in the archives: the links to the tablespaces, and the manifest.
func (r *restore) completeUnpacked(data, dir string) error {
	if err := os.MkdirAll(filepath.Join(data, "pg_tblspc"), 0o700); err != nil {
		return err
	}
	for _, t := range r.plan.Tablespaces {
		if err := os.Symlink(filepath.Join(dir, fmt.Sprint(t.OID)), tablespaceLink(data, t.OID)); err != nil {
			return err
		}
	}
	if manifest := r.manifest(); manifest != "" {
		return os.Symlink(manifest, filepath.Join(data, manifestFile))
	}
	return nil
}

// combine runs pg_combinebackup. place is where a tablespace goes.
func (r *restore) combine(ctx context.Context, inputs []string, output string, place func(oid uint32) string) error {
	r.Out.Info("Start combining backup via %s for backup %s on %s", combineTool, r.plan.Backup.ID, r.plan.Destination)
	// What it writes is synced with the rest of the destination; a work area need not last.
	args := append([]string{"--no-sync", "--output=" + output}, r.combineMode()...)
	last := inputs[len(inputs)-1]
	for _, t := range r.plan.Tablespaces {
		// The program knows a tablespace by the text of its link.
		link, err := os.Readlink(tablespaceLink(last, t.OID))
		if err != nil {
			return err
		}
		args = append(args, "--tablespace-mapping="+mappingWord(link)+"="+mappingWord(place(t.OID)))
	}
	_, err := toolexec.Run(ctx, toolexec.Command{
		Name: r.plan.combiner, Args: append(args, inputs...),
		OnStderr: func(line string) { r.Log.Info(line, "server", r.Server, "backup", r.plan.Backup.ID) },
	})
	if err != nil {
		return err
	}
	r.Out.Info("End combining backup via %s for backup %s", combineTool, r.plan.Backup.ID)
	return nil
}

// combineMode is how files are brought to the output that no later backup has changed.
func (r *restore) combineMode() []string {
	switch mode := r.options.CombineMode; mode {
	case "clone", "copy-file-range":
		return []string{"--" + mode}
	case "link":
		// A restored server would write into the files of the backup.
		r.Out.Warning("combine_mode = link would make the restored server share files with the catalog: they are copied")
	}
	return nil
}

// mappingWord writes a directory for --tablespace-mapping, where = divides.
func mappingWord(dir string) string { return strings.ReplaceAll(dir, "=", `\=`) }

// settleCombined moves what was combined to its place, without what must not be restored, and with pg_control under its pending
// name. It is on the same file system, so nothing is copied.
func settleCombined(from, to string) error {
	if err := os.Rename(filepath.Join(from, controlFile), filepath.Join(from, pendingControl)); err != nil {
		return err
	}
	for _, pattern := range unpackedExclude {
		names, err := fs.Glob(os.DirFS(from), strings.TrimPrefix(pattern, "/"))
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := os.RemoveAll(filepath.Join(from, name)); err != nil {
				return err
			}
		}
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.Rename(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return os.Remove(from)
}
