package wal

import (
	"errors"
	"fmt"
)

// What Verify can find besides ErrNotWAL. Each is wrapped in a *VerifyError.
var (
	// ErrWrongCluster means the segment was written by a cluster with another system identifier.
	ErrWrongCluster = errors.New("WAL of another cluster")
	// ErrWrongVersion means the segment was written by another major version of PostgreSQL.
	ErrWrongVersion = errors.New("WAL of another PostgreSQL version")
	// ErrWrongSize means the file is not as long as a segment of this cluster.
	ErrWrongSize = errors.New("wrong size of WAL segment")
	// ErrAddressMismatch means the content belongs under another name, as in a recycled segment that was never
	// written to.
	ErrAddressMismatch = errors.New("content and name of the WAL segment differ")
)

// Expect says what a server's WAL must look like. Zero fields are not checked.
type Expect struct {
	SystemID SystemID
	// Version is the major version, such as 15. One that PageMagic does not know is not checked.
	Version     int
	SegmentSize SegmentSize
}

// VerifyError says why a file is not the segment its name promises. Its chain holds one of ErrNotWAL,
// ErrWrongCluster, ErrWrongVersion, ErrWrongSize or ErrAddressMismatch.
type VerifyError struct {
	Name FileName
	// Header is what the first page says; zero when it could not be decoded.
	Header PageHeader
	// Reason is one of the errors above, with the details found.
	Reason error
	// Advice is what to do next.
	Advice string
}

// Error is one line: name, reason, advice.
func (e *VerifyError) Error() string { return fmt.Sprintf("%s: %v; %s", e.Name, e.Reason, e.Advice) }

// Unwrap gives the reason.
func (e *VerifyError) Unwrap() error { return e.Reason }

// Verify checks a segment that is about to be archived: page holds at least its first PageHeaderSize bytes (fewer
// only when the file is shorter), size is the length of the whole file in bytes, decompressed. It returns the decoded
// header, or a *VerifyError.
//
// A partial segment may be shorter than a segment, and still zero at its start; the header is then zero, and IsBlank says so.
// History files and backup labels are text: the header is zero, and nothing of it is checked. An empty file is none of these, except for
// a label: PostgreSQL does not sync it, sends what a crash has left of it until that is accepted, and nobody needs it.
func Verify(page []byte, size int64, name FileName, expect Expect) (PageHeader, error) {
	segment, ok := name.Segment()
	if size == 0 && (name.Kind() == KindHistory || name.Kind() == KindPartial) {
		return PageHeader{}, &VerifyError{
			Name: name, Reason: fmt.Errorf("%w: the %s is empty", ErrNotWAL, name.Kind()),
			Advice: "check whether archive_command copies files as a whole, and whether a disk was full",
		}
	}
	if !ok || name.Kind() == KindBackup {
		return PageHeader{}, nil
	}
	partial := name.Kind() == KindPartial
	if partial && IsBlank(page, size, name) {
		// pg_receivewal pads a new file with zeros before it writes.
		return PageHeader{}, nil
	}
	header, err := DecodePageHeader(page)
	if err != nil {
		return PageHeader{}, &VerifyError{
			Name: name, Reason: err,
			Advice: "check what archive_command sends, and whether the disk of the PostgreSQL server is healthy",
		}
	}
	reason, advice := compare(header, size, segment, partial, expect)
	if reason != nil {
		return header, &VerifyError{Name: name, Header: header, Reason: reason, Advice: advice}
	}
	return header, nil
}

// IsBlank tells whether a file holds nothing, although Verify accepts it: a label that is empty, or a partial segment to which nothing was
// written yet. A file of its name that is not blank is always the better one. page and size are those of Verify.
func IsBlank(page []byte, size int64, name FileName) bool {
	return size == 0 || name.Kind() == KindPartial && allZero(page[:min(len(page), PageHeaderSize)])
}

// compare looks for the most telling difference first: a file of another cluster usually differs in everything else
// too.
func compare(h PageHeader, size int64, segment Segment, partial bool, expect Expect) (reason error, advice string) { //nolint:staticcheck // both are results, not one the error of the other
	if expect.SystemID != 0 && h.SystemID != expect.SystemID {
		return fmt.Errorf("%w: its system identifier is %s, this server's is %s", ErrWrongCluster, h.SystemID, expect.SystemID),
			"another PostgreSQL server sends its WAL here: check archive_command there; after a pg_upgrade or a new initdb, " +
				"use a new server name or a new backup directory"
	}
	if magic, known := PageMagic(expect.Version); known && h.Magic != magic {
		return fmt.Errorf("%w: its page magic is %04X (%s), this server's is %04X (PostgreSQL %d)",
				ErrWrongVersion, h.Magic, versionText(h.MajorVersion()), magic, expect.Version),
			"after a major upgrade, use a new server name or a new backup directory"
	}
	if expect.SegmentSize != 0 && h.SegmentSize != expect.SegmentSize {
		return fmt.Errorf("%w: its header says segments are %d bytes, this server's are %d",
				ErrWrongSize, h.SegmentSize, expect.SegmentSize),
			"after pg_resetwal --wal-segsize, take a new base backup under a new server name"
	}
	if size > int64(h.SegmentSize) || (!partial && size < int64(h.SegmentSize)) {
		return fmt.Errorf("%w: the file has %d bytes, a segment %d", ErrWrongSize, size, h.SegmentSize),
			"it was cut off or appended to on its way: let PostgreSQL send it again"
	}
	if !segment.Fits(h.SegmentSize) || h.Address != segment.StartLSN(h.SegmentSize) || h.Timeline > segment.Timeline {
		return fmt.Errorf("%w: its first page is that of %s", ErrAddressMismatch,
				SegmentForLSN(h.Timeline, h.Address, h.SegmentSize)),
			"it is a recycled or renamed file that holds old WAL: check archive_command"
	}
	return nil, ""
}

func versionText(major int) string {
	if major == 0 {
		return "a version unknown here"
	}
	return fmt.Sprintf("PostgreSQL %d", major)
}
