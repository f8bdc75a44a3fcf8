package recovery

import (
	"context"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/fsx"
)

// measure computes how much each directory receives.
func (r *Restorer) measure(ctx context.Context, p *Plan, f *Found) []Space {
	data, tablespaces := p.measureBase(ctx, r.Catalog.Layout)
	spaces := p.measureStaging(f, data, tablespaces)
	add := func(dir string, need int64) {
		place := f.Places[dir]
		spaces = append(spaces, Space{Directory: dir, Need: need, Free: place.FreeBytes, Disk: place.Disk})
	}
	for i, need := range tablespaces {
		add(p.Tablespaces[i].Location, need)
	}
	files := int64(len(p.WAL.Files)) * int64(p.Backup.SegmentSize)
	switch {
	case p.WALDirectory == "":
	case inside(p.WALDirectory, p.Destination):
		data += files
	default:
		add(p.WALDirectory, files)
	}
	add(p.Destination, data)
	return spaces
}

// measureBase computes how much the data directory and the tablespaces take. What cannot be read counts as nothing;
// checkSource has said so.
func (p *Plan) measureBase(ctx context.Context, layout catalog.Layout) (data int64, tablespaces []int64) {
	switch {
	case p.combines():
		return p.measureChain(ctx, layout)
	case p.Way != CopyFiles:
		return p.measureArchives()
	}
	var elsewhere int64
	for _, t := range p.Tablespaces {
		size, err := fsx.TreeSize(ctx, t.Source)
		if err != nil {
			size.Bytes = 0
		}
		elsewhere += size.Bytes
		tablespaces = append(tablespaces, size.Bytes)
	}
	data = p.Backup.Size.N - elsewhere
	if !p.Backup.Size.Valid || data <= 0 {
		size, err := fsx.TreeSize(ctx, layout.DataPath(p.Backup.ID))
		if err != nil {
			return 0, tablespaces
		}
		data = size.Bytes
	}
	return data, tablespaces
}

// measureStaging computes how much the work area on this host receives: all that the archives hold, and what a chain is combined to. data and
// tablespaces are what measureBase has found.
func (p *Plan) measureStaging(f *Found, data int64, tablespaces []int64) []Space {
	if !p.staged() {
		return nil
	}
	var need int64
	add := func(data int64, tablespaces []int64) {
		need += data
		for _, bytes := range tablespaces {
			need += bytes
		}
	}
	if p.Way == UnpackStaged || p.Way == CombineStaged {
		add(data, tablespaces)
	}
	for _, member := range p.chain {
		if len(member.Archives) > 0 {
			add(member.measureArchives())
		}
	}
	return []Space{{Directory: p.StagingPath, Need: need, Free: f.Staging.FreeBytes, Disk: f.Staging.Disk}}
}
