package recovery

import (
	"time"

	"github.com/barman-go/barman/core/catalog"
)

// Estimate is how long the copy of a restore may take. What PostgreSQL needs to replay WAL is not in it.
type Estimate struct {
	// Time is 0 when there is nothing to estimate it by.
	Time time.Duration
	// Bytes are what is copied, and BytesPerSecond how fast: as fast as Backup was taken, or as the bandwidth limit allows.
	Bytes          int64
	BytesPerSecond float64
	Backup         string
	// AtMost tells that less may do: for what is in the destination already.
	AtMost bool
}

// estimate goes by the backup of which most bytes were copied: small ones measure something else. delta is what there is to copy
// where the destination has content.
func (p *Plan) estimate(o *Options, usable []*catalog.BackupInfo, delta int64) Estimate {
	e := Estimate{Bytes: delta, AtMost: delta > 0}
	var most int64
	for _, b := range usable {
		bytes := b.Size
		if b.DeduplicatedSize.Valid {
			bytes = b.DeduplicatedSize
		}
		seconds := b.CopyStats.CopyTime
		if !bytes.Valid || bytes.N <= most || seconds <= 0 {
			continue
		}
		most = bytes.N
		e.BytesPerSecond, e.Backup = float64(bytes.N)/seconds, b.ID
	}
	for _, s := range p.Space {
		if !p.staged() || s.Directory != p.StagingPath {
			e.Bytes += s.Need
		}
	}
	if limit := float64(o.BandwidthLimit) * 1024; limit > 0 && (e.BytesPerSecond == 0 || limit < e.BytesPerSecond) {
		e.BytesPerSecond, e.Backup = limit, ""
	}
	if e.BytesPerSecond > 0 {
		e.Time = time.Duration(float64(e.Bytes) / e.BytesPerSecond * float64(time.Second))
	}
	return e
}
