package recovery

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/wal"
)

// Plan decides what a restore would do, as Run does first: what waits to be archived is archived, the destination is only looked
// at, and no hook runs. The error is a *PlanError when the restore cannot work; the plan is then returned, too, unless the request
// as such was wrong. Other errors come from the catalog or the archive.
func (r *Restorer) Plan(ctx context.Context, o Options) (*Plan, error) {
	r.archivePending(ctx)
	copier, err := r.OpenCopier(ctx, o.remote())
	if err != nil {
		return nil, err
	}
	p, err := r.plan(ctx, &o, copier, nil)
	if p == nil || ctx.Err() != nil {
		return nil, err
	}
	if err := r.explain(ctx, &o, p); err != nil {
		return nil, err
	}
	return p, err
}

// plan makes a plan. held, if not nil, takes the lease on the backup as soon as that is chosen.
func (r *Restorer) plan(ctx context.Context, o *Options, copier Copier, held *lease) (*Plan, error) {
	p, err := r.decide(ctx, o, held)
	if err != nil {
		return nil, err
	}
	// Programs take their time to start; meanwhile there is enough to look at.
	asking, stop := context.WithCancel(ctx)
	here := r.askHere(asking, o, p)
	defer func() {
		stop()
		_, _ = here() // nothing of it is left when the plan is made, or not
	}()
	if err := p.checkBases(ctx, r.Catalog.Layout); err != nil {
		return nil, err
	}
	if err := r.planWAL(ctx, o, p); err != nil {
		return nil, err
	}
	if err := r.planDestination(ctx, o, copier, p); err != nil {
		return nil, err
	}
	if err := r.checkTools(ctx, o, p, here); err != nil {
		return nil, err
	}
	return p, p.Err()
}

// decide makes the part of the plan that needs only the request and the catalog.
func (r *Restorer) decide(ctx context.Context, o *Options, held *lease) (*Plan, error) {
	t, err := ParseTarget(o, r.Zone)
	if err != nil {
		return nil, err
	}
	backups, err := r.Catalog.List()
	if err != nil {
		return nil, err
	}
	b, reason, err := choose(o, t, backups)
	if err == nil && held != nil {
		b, err = held.take(ctx, r, b, backups)
	}
	if err != nil {
		return nil, err
	}
	if err := checkOptions(o, b); err != nil {
		return nil, err
	}
	p := &Plan{
		Server: r.Server, Backup: b, Reason: reason, Target: t,
		Destination: filepath.Clean(o.Destination), Remote: o.RemoteCommand, Delta: o.Delta,
	}
	p.WALDirectory = walDirectory(p, o)
	if err := p.placeTablespaces(o, r.Catalog.Layout); err != nil {
		return nil, err
	}
	if b.IsIncremental() {
		p.planChain(o, backups, r.Catalog)
	} else {
		p.planArchives(o, r.Catalog.Layout)
	}
	p.checkLayout()
	p.sound = p.checkSource(r.Catalog)
	p.readPlanContents(r.Catalog.Layout.DataPath(p.Backup.ID))
	p.readConfiguration(r.Catalog.Layout, r.Zone)
	p.checkTarget(backups)
	return p, nil
}

// readConfiguration finds out what the restored configuration says that a person has to know.
func (p *Plan) readConfiguration(layout catalog.Layout, here *time.Location) {
	var conf restoredConf
	if p.filesOf() == CopyFiles {
		conf = readConf(layout.DataPath(p.Backup.ID), p.Backup.PGData)
	}
	p.Port = conf.port()
	p.Clocks = clocks(here, conf)
}

// walDirectory is where WAL files go: beside the data for a point-in-time recovery, because PostgreSQL then fetches
// them with restore_command, else where PostgreSQL looks by itself.
func walDirectory(p *Plan, o *Options) string {
	switch {
	case o.GetWAL:
		return ""
	case !p.Target.PITR():
		return filepath.Join(p.Destination, p.Backup.WALDirectory())
	case o.StagingWALDirectory != "":
		return filepath.Clean(o.StagingWALDirectory)
	}
	return filepath.Join(p.Destination, StagingWAL)
}

func (p *Plan) placeTablespaces(o *Options, layout catalog.Layout) error {
	relocated, err := parseRules(o.Tablespaces, p.Backup)
	if err != nil {
		return err
	}
	for _, t := range p.Backup.Tablespaces {
		location, moved := relocated[t.Name]
		if !moved {
			location = filepath.Clean(t.Location)
		}
		p.Tablespaces = append(p.Tablespaces, Tablespace{
			Name: t.Name, OID: t.OID, Source: layout.TablespacePath(p.Backup.ID, t.OID), Location: location, Relocated: moved,
		})
	}
	return nil
}

// checkSource refuses a backup whose content is not there. It tells whether what the catalog says can be relied on.
func (p *Plan) checkSource(c *catalog.Catalog) bool {
	layout, before := c.Layout, len(p.Problems)
	if marked, err := c.MarkedForDelete(p.Backup.ID); err != nil {
		p.refuse(fmt.Sprintf("Backup %s cannot be read: %v", p.Backup.ID, err), "Run the command as the user who owns the catalog.")
	} else if marked {
		p.refuse(fmt.Sprintf("Backup %s is being deleted", p.Backup.ID), "Choose another backup.")
	}
	p.checkArchives()
	for _, path := range p.neededFiles(layout) {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			p.refuse(fmt.Sprintf("Backup %s is damaged: %s does not exist", p.Backup.ID, path), "Choose another backup.")
		} else if err != nil {
			p.refuse(fmt.Sprintf("Backup %s cannot be read: %v", p.Backup.ID, err), "Run the command as the user who owns the catalog.")
		}
	}
	b := p.Backup
	if b.Timeline == 0 || b.BeginLSN == 0 || b.EndLSN < b.BeginLSN || b.SegmentSize.Validate() != nil {
		p.refuse(fmt.Sprintf("The catalog does not know which WAL backup %s needs", b.ID), "Choose another backup.")
	}
	return len(p.Problems) == before
}

// neededFiles are those that a backup of files must have.
func (p *Plan) neededFiles(layout catalog.Layout) []string {
	if p.Way != CopyFiles {
		return nil // planChain looks at each backup of a chain
	}
	needed := []string{filepath.Join(layout.DataPath(p.Backup.ID), controlFile)}
	for _, t := range p.Tablespaces {
		needed = append(needed, t.Source)
	}
	return needed
}

// checkTarget refuses targets that the backup itself rules out.
func (p *Plan) checkTarget(backups *catalog.Backups) {
	t, b := p.Target, p.Backup
	if problem := t.checkVersion(b.Version); problem != nil {
		p.Problems = append(p.Problems, *problem)
	}
	switch {
	case t.Kind == ToTime && t.Time.Before(b.EndTime):
		p.refuse(fmt.Sprintf("The requested target time %s is before the backup end time %s",
			t.Text, catalog.FormatTime(b.EndTime.In(t.Time.Location()))), olderBackup(t, backups))
	case t.Kind == ToLSN && t.LSN < b.EndLSN:
		p.refuse(fmt.Sprintf("The requested target LSN %s is before the end of the backup at %s, where it becomes consistent", t.LSN, b.EndLSN),
			olderBackup(t, backups))
	}
}

// olderBackup advises on a target that comes before the end of the backup.
func olderBackup(t Target, backups *catalog.Backups) string {
	if t.Timeline == TimelineCurrent {
		t.Timeline = "" // that of the backup which will not do
	}
	if best, _, err := chooseBest(t, backups); err == nil {
		return fmt.Sprintf("Choose backup %s, the newest that ended before the target, or a later target.", best.ID)
	}
	return "Choose a later target: no backup of this server ended before this one."
}

// planWAL chooses the way through the timelines and the WAL files.
func (r *Restorer) planWAL(ctx context.Context, o *Options, p *Plan) error {
	if !p.sound {
		return nil
	}
	temp, remove, err := r.tempDir()
	if err != nil {
		return err
	}
	defer remove()
	from := wal.SegmentForLSN(0, p.Backup.BeginLSN, p.Backup.SegmentSize)
	archived, err := readArchive(ctx, r.Catalog.Layout.WALs, temp, from, r.WAL)
	if err != nil {
		return fmt.Errorf("WAL archive of server %s: %w", r.Server, err)
	}
	if err := archived.readStreaming(ctx, r.Catalog.Layout.Streaming, temp, from, r.WAL); err != nil {
		return fmt.Errorf("streaming directory of server %s: %w", r.Server, err)
	}
	chosen, problem := chooseRoute(p.Target, p.Backup, o.StandbyMode, usesSettings(p.Target, o.GetWAL, o.StandbyMode), archived)
	if problem != nil {
		p.Problems = append(p.Problems, *problem)
		return nil
	}
	if chosen.warning != "" {
		p.warn("%s", chosen.warning)
	}
	p.Timeline, p.Path, p.TimelineSetting = chosen.timeline, chosen.path, chosen.setting
	p.otherTimelines = archived.otherTimelines(p.Backup, p.Timeline)
	p.WAL = chooseWAL(p.Target, p.Backup, p.Path, archived)
	p.reachable = p.WAL.Files
	p.WAL.problems(p, o.GetWAL)
	if len(p.Problems) > 0 {
		return r.checkWAL(ctx, o, p)
	}
	// With get-wal or on a standby, WAL that is not archived yet may still come.
	reach := checkReach(ctx, p, o.GetWAL || o.StandbyMode, r.Now(), watched(p, r.Progress, openSegment(r.WAL, temp)))
	if err := p.readable(ctx, reach); err != nil {
		return err
	}
	p.WAL.shortfall(p)
	return r.checkWAL(ctx, o, p)
}

// tempName begins the names of directories for decoded WAL, as in Barman.
const tempName = "barman_recovery-"

// tempDir makes a directory for decoded WAL.
func (r *Restorer) tempDir() (dir string, remove func(), err error) {
	path := r.TempDir
	if path == "" {
		path = os.TempDir()
	}
	work, err := newWorkDir(path, tempName)
	if err != nil {
		return "", nil, err
	}
	return work.data(), func() { _ = work.remove() }, nil
}

// planDestination looks at the host that is restored to.
func (r *Restorer) planDestination(ctx context.Context, o *Options, copier Copier, p *Plan) error {
	found, err := look(ctx, copier, o.Remote, p)
	if problem := connectionProblem(ctx, o, err); problem != nil {
		p.Problems = append(p.Problems, *problem)
		return nil
	}
	if err != nil {
		return err
	}
	p.Found = found
	if !o.remote() {
		p.checkOutside(append([]catalog.Layout{r.Catalog.Layout}, r.OtherCatalogs...))
	}
	p.checkDestinationFound(found)
	if p.staged() {
		p.checkStagingFound(found.Staging)
	}
	if p.Delta || p.Resumed {
		p.Horizon = horizon(found, p, r.Zone)
		// How much of it is there already is not known; the work area has nothing yet.
		if p.staged() {
			data, tablespaces := p.measureBase(ctx, r.Catalog.Layout)
			p.Space = p.measureStaging(found, data, tablespaces)
		}
		p.checkSpace()
		return nil
	}
	p.Space = r.measure(ctx, p, found)
	p.checkSpace()
	return nil
}

// horizon is the time before which a file that looks unchanged is unchanged: the earlier begin of this backup and of
// the one that was restored before. After an interrupted restore nothing is trusted, because its files may not have
// reached the disk.
func horizon(f *Found, p *Plan, zone *time.Location) time.Time {
	if f.Info == nil || f.Marker != nil {
		return time.Time{}
	}
	earlier, err := catalog.DecodeInfo(p.Backup.ID, f.Info, zone)
	if err != nil || earlier.BeginTime.IsZero() {
		return time.Time{}
	}
	if p.Backup.BeginTime.Before(earlier.BeginTime) {
		return p.Backup.BeginTime
	}
	return earlier.BeginTime
}
