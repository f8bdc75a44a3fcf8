package wal

import (
	"fmt"
	"path"
	"strings"
)

const (
	segmentNameLen = 24
	partialSuffix  = ".partial"
	backupSuffix   = ".backup"
	historySuffix  = ".history"
)

// Kind says what a WAL file name stands for.
type Kind int

// Kinds of files that PostgreSQL hands to archive_command or that pg_receivewal writes.
const (
	// KindSegment is a complete segment: 24 digits.
	KindSegment Kind = iota + 1
	// KindPartial is a segment that is not complete: 24 digits and ".partial".
	KindPartial
	// KindBackup is the label of a base backup: 24 digits, a dot, 8 digits and ".backup".
	KindBackup
	// KindHistory is a timeline history: 8 digits and ".history".
	KindHistory
)

// String is a word for messages.
func (k Kind) String() string {
	switch k {
	case KindSegment:
		return "segment"
	case KindPartial:
		return "partial segment"
	case KindBackup:
		return "backup label"
	case KindHistory:
		return "history file"
	}
	return fmt.Sprintf("kind %d", int(k))
}

// FileName is a valid name of a WAL file. The zero value is not one; ParseFileName makes them.
//
// A FileName is safe as one component of a path: it holds only hexadecimal digits and one of the fixed suffixes.
type FileName struct {
	raw  string
	kind Kind
	// segment has only a timeline for KindHistory.
	segment Segment
	offset  uint32
}

// ParseFileName reads the name of a WAL file: a base name without directories, the hexadecimal digits in upper or
// lower case, nothing before or after. Everything else, including names that another program would call temporary, is
// ErrInvalidName.
func ParseFileName(s string) (FileName, error) {
	// A function, because archives have millions of names and nearly all are valid.
	invalid := func() (FileName, error) { return FileName{}, fmt.Errorf("%q is %w", s, ErrInvalidName) }
	segment, ok := CutSegment(s)
	if !ok {
		stem, isHistory := strings.CutSuffix(s, historySuffix)
		tli, ok := hex32(stem)
		if !isHistory || !ok {
			return invalid()
		}
		return FileName{raw: s, kind: KindHistory, segment: Segment{Timeline: TimelineID(tli)}}, nil
	}
	name := FileName{raw: s, segment: segment}
	switch rest := s[segmentNameLen:]; rest {
	case "":
		name.kind = KindSegment
	case partialSuffix:
		name.kind = KindPartial
	default:
		digits, isBackup := strings.CutSuffix(rest, backupSuffix)
		digits, hasDot := strings.CutPrefix(digits, ".")
		if name.offset, ok = hex32(digits); !ok || !isBackup || !hasDot {
			return invalid()
		}
		name.kind = KindBackup
	}
	return name, nil
}

// IsFileName tells whether ParseFileName accepts s.
func IsFileName(s string) bool {
	_, err := ParseFileName(s)
	return err == nil
}

// String is the name as it was parsed, which is the name of the file.
func (n FileName) String() string { return n.raw }

// Canonical is the name as PostgreSQL writes it: digits in upper case.
func (n FileName) Canonical() string {
	switch n.kind {
	case KindSegment:
		return n.segment.String()
	case KindPartial:
		return PartialName(n.segment)
	case KindBackup:
		return fmt.Sprintf("%s.%08X%s", n.segment, n.offset, backupSuffix)
	case KindHistory:
		return HistoryName(n.segment.Timeline)
	}
	return ""
}

// Kind says what the file is.
func (n FileName) Kind() Kind { return n.kind }

// Timeline is the timeline in the name. For a history file it is the timeline whose ancestors the file lists.
func (n FileName) Timeline() TimelineID { return n.segment.Timeline }

// Segment is the segment the file is, or is about; ok is false for a history file.
func (n FileName) Segment() (s Segment, ok bool) {
	return n.segment, n.kind != KindHistory && n.kind != 0
}

// Offset is where the backup began inside its segment, in bytes; only KindBackup has one.
func (n FileName) Offset() (offset uint32, ok bool) { return n.offset, n.kind == KindBackup }

// IsWAL tells whether the file is a complete segment.
func (n FileName) IsWAL() bool { return n.kind == KindSegment }

// HashDir is the directory of the file relative to the archive's root: the first 16 digits in upper case, or "" for a
// history file, which lies in the root.
func (n FileName) HashDir() string {
	if s, ok := n.Segment(); ok {
		return s.HashDir()
	}
	return ""
}

// ArchivePath is the path of the file relative to the archive's root, with forward slashes.
func (n FileName) ArchivePath() string { return path.Join(n.HashDir(), n.raw) }

// HistoryName is the name of the history file of a timeline.
func HistoryName(tli TimelineID) string { return tli.String() + historySuffix }

// PartialName is the name of a segment that is not complete.
func PartialName(s Segment) string { return s.String() + partialSuffix }

// BackupLabelName is the name of the label of a base backup that began at lsn on a timeline.
func BackupLabelName(tli TimelineID, lsn LSN, size SegmentSize) string {
	return fmt.Sprintf("%s.%08X%s", SegmentForLSN(tli, lsn, size), lsn.Offset(size), backupSuffix)
}
