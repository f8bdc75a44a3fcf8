package recovery

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// checkWAL looks at the beginning of every file of the range, so that another cluster's WAL, a file that was cut and one that nobody
// can decode are known before the base backup is copied. The rest of a file is verified when it is copied.
func (r *Restorer) checkWAL(ctx context.Context, o *Options, p *Plan) error {
	decodable := map[string]error{}
	damaged := 0
	unusable := func(summary string) {
		if damaged++; damaged <= maxDamaged {
			p.unreachable(o.GetWAL, summary, damagedAdvice)
		}
	}
	for _, f := range slices.Concat(p.WAL.Histories, p.WAL.Files) {
		format, err := r.WAL.FormatOf(ctx, f.Path)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, fs.ErrNotExist):
			continue // receive-wal completes segments and archive-wal files them, meanwhile; who copies looks again
		case err != nil:
			unusable(fmt.Sprintf("WAL file %s cannot be read: %v", f.Path, err))
			continue
		case format == "":
			if err := verifyWAL(f.Path, f, p.Backup); err != nil && !errors.Is(err, fs.ErrNotExist) {
				unusable(fmt.Sprintf("WAL file %s cannot be used: %v", f.Path, err))
			}
			continue
		}
		if _, asked := decodable[format]; asked {
			continue
		}
		err = r.WAL.CanDecode(ctx, format)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		decodable[format] = err
		p.decoder(format, err)
		if err != nil {
			p.unreachable(o.GetWAL, fmt.Sprintf("WAL is compressed with %s, which nothing on this host can decode: %v", format, err),
				"Install the compress plugin; barman plugin list shows where it is looked for.")
		}
	}
	if more := damaged - maxDamaged; more > 0 {
		p.unreachable(o.GetWAL, fmt.Sprintf("%d more WAL %s cannot be used", more, plural(more, "file", "files")), damagedAdvice)
	}
	return nil
}

// maxDamaged is how many damaged files are named: when it is all of them, the reason is the same.
const maxDamaged = 3

const damagedAdvice = "Put a sound copy in its place, for example from pg_wal of the server or of a standby; or choose a backup or a target " +
	"that does not need it."

// readable makes WAL that could not be read on the way to the target a problem of the plan.
func (p *Plan) readable(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		p.refuse(fmt.Sprintf("The WAL that leads to the target cannot be read: %v", err), damagedAdvice)
	}
	return nil
}
