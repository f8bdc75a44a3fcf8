package record

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/barman-go/barman/core/wal"
)

// Kind is what a record does. Only kinds that matter for a recovery target have a name.
type Kind int

// Kinds of records.
const (
	Other Kind = iota
	// Commit and Abort end a transaction, also a prepared one. Recovery to a time or a transaction stops at these.
	Commit
	Abort
	// RestorePoint is what pg_create_restore_point writes.
	RestorePoint
	// Switch ends a segment early; the next record begins in the next segment.
	Switch
)

// Record is one WAL record.
type Record struct {
	// LSN is where it begins.
	LSN  wal.LSN
	Kind Kind
	// XID is the transaction that wrote it, 0 for none. Of a prepared transaction's end it is not the one that ended.
	XID uint32
	// Prepared tells that a Commit or Abort ends a prepared transaction.
	Prepared bool
	// Time is set for Commit, Abort and RestorePoint, in UTC, to the microsecond.
	Time time.Time
	// Name is that of a RestorePoint.
	Name string
}

// headerSize is SizeOfXLogRecord.
const headerSize = 24

// Resource managers, and their operations in the upper half of xl_info.
const (
	rmXLOG = 0
	rmXact = 1

	infoMask         = 0xF0
	xlogSwitch       = 0x40
	xlogRestorePoint = 0x70

	// xactMask leaves out XLOG_XACT_HAS_INFO.
	xactMask           = 0x70
	xactCommit         = 0x00
	xactAbort          = 0x20
	xactCommitPrepared = 0x30
	xactAbortPrepared  = 0x40
)

// Ids of the parts of a record that have no data of a block (XLR_BLOCK_ID_…).
const (
	partDataShort   = 255
	partDataLong    = 254
	partOrigin      = 253
	partTopLevelXID = 252
)

// postgresEpoch is where PostgreSQL's timestamps count from, in microseconds.
var postgresEpoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// castagnoli is computed by the library when it is first asked for: most runs of barman check no record.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// valid tells whether the CRC of a whole record is right.
func valid(rec []byte, order binary.ByteOrder) bool {
	// The CRC stands at the end of the header and does not cover itself.
	crc := crc32.Update(0, castagnoli(), rec[headerSize:])
	crc = crc32.Update(crc, castagnoli(), rec[:headerSize-4])
	return crc == order.Uint32(rec[headerSize-4:])
}

// decode reads a whole record.
func decode(lsn wal.LSN, rec []byte, order binary.ByteOrder) Record {
	r := Record{LSN: lsn, XID: order.Uint32(rec[4:])}
	info, manager := rec[16], rec[17]
	switch {
	case manager == rmXLOG && info&infoMask == xlogSwitch:
		r.Kind = Switch
	case manager == rmXLOG && info&infoMask == xlogRestorePoint:
		if data := mainData(rec, order); len(data) > 8 {
			r.Kind, r.Time = RestorePoint, timestamp(data, order)
			name, _, _ := bytes.Cut(data[8:], []byte{0})
			r.Name = string(name)
		}
	case manager == rmXact:
		operation := info & xactMask
		switch operation {
		case xactCommit, xactCommitPrepared:
			r.Kind = Commit
		case xactAbort, xactAbortPrepared:
			r.Kind = Abort
		default:
			return r
		}
		r.Prepared = operation == xactCommitPrepared || operation == xactAbortPrepared
		data := mainData(rec, order)
		if len(data) < 8 {
			r.Kind = Other
			return r
		}
		r.Time = timestamp(data, order)
	}
	return r
}

func timestamp(data []byte, order binary.ByteOrder) time.Time {
	us := int64(order.Uint64(data))
	return postgresEpoch.Add(time.Duration(us%1e6) * time.Microsecond).Add(time.Duration(us/1e6) * time.Second)
}

// mainData returns the part of a record that belongs to its resource manager; nil when there is none, or when the
// record also has data of blocks, which the records that decode looks into never have.
func mainData(rec []byte, order binary.ByteOrder) []byte {
	rest := rec[headerSize:]
	for len(rest) > 0 {
		var size int
		switch rest[0] {
		case partOrigin:
			rest = rest[min(3, len(rest)):]
			continue
		case partTopLevelXID:
			rest = rest[min(5, len(rest)):]
			continue
		case partDataShort:
			if len(rest) < 2 {
				return nil
			}
			size, rest = int(rest[1]), rest[2:]
		case partDataLong:
			if len(rest) < 5 {
				return nil
			}
			size, rest = int(order.Uint32(rest[1:])), rest[5:]
		default:
			return nil
		}
		if size != len(rest) {
			return nil
		}
		return rest
	}
	return nil
}
