package backup

import (
	"errors"
	"fmt"
	"time"

	"github.com/barman-go/barman/core/pattern"
	"github.com/barman-go/barman/core/wal"
)

const (
	// labelFile is the name of the file in the data directory; maxLabel is far above its size, in bytes.
	labelFile = "backup_label"
	maxLabel  = 64 << 10
	// labelPrefix begins the text of every backup that Barman takes: the server and the id follow.
	labelPrefix = "Barman backup "
)

// Label is what a backup_label file says. PostgreSQL manual, function pg_backup_stop.
type Label struct {
	// Name is the text that the backup was started with; empty when there is none.
	Name     string
	StartLSN wal.LSN
	StartWAL wal.Segment
	// StartTime is zero when the text cannot be read in the server's zone.
	StartTime time.Time
}

var (
	// ErrLabel means that a text is not a backup_label.
	ErrLabel = errors.New("not a backup label")

	labelName  = pattern.New(`(?m)^LABEL: (.*)$`)
	labelStart = pattern.New(`(?m)^START WAL LOCATION: ([0-9A-Fa-f]+/[0-9A-Fa-f]+) \(file ([0-9A-Fa-f]{24})\)`)
	labelTime  = pattern.New(`(?m)^START TIME: (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+)`)
)

// ParseLabel reads the text of a backup_label file.
func ParseLabel(text string) (Label, error) {
	m := labelStart.FindStringSubmatch(text)
	if m == nil {
		return Label{}, fmt.Errorf("%w: no START WAL LOCATION", ErrLabel)
	}
	lsn, err := wal.ParseLSN(m[1])
	if err != nil {
		return Label{}, fmt.Errorf("%w: %w", ErrLabel, err)
	}
	seg, err := wal.ParseSegment(m[2])
	if err != nil {
		return Label{}, fmt.Errorf("%w: %w", ErrLabel, err)
	}
	l := Label{StartLSN: lsn, StartWAL: seg}
	if name := labelName.FindStringSubmatch(text); name != nil {
		l.Name = name[1]
	}
	if t := labelTime.FindStringSubmatch(text); t != nil {
		// The zone is an abbreviation; only those that are unambiguous can be used.
		if at, err := time.Parse("2006-01-02 15:04:05 MST", t[1]); err == nil && at.Location() == time.UTC {
			l.StartTime = at
		}
	}
	return l, nil
}
