package recovery

import (
	"context"
	"fmt"
	"strconv"

	"github.com/barman-go/barman/core/wal/record"
)

// checkXID looks for the end of the target transaction. PostgreSQL compares 32 bits of the number.
func checkXID(ctx context.Context, p *Plan, soft bool, open segmentOpener) error {
	target, err := strconv.ParseUint(p.Target.Text, 10, 64)
	if err != nil {
		return err
	}
	xid, prepared := uint32(target), false
	matches := func(r record.Record) bool {
		if r.LSN < p.WAL.Begin || r.Kind != record.Commit && r.Kind != record.Abort {
			return false
		}
		prepared = prepared || r.Prepared
		return r.XID == xid && !r.Prepared
	}
	from, err := nearXID(ctx, p.WAL.Files, xid, open)
	if err != nil {
		return err
	}
	found, err := firstRecord(ctx, p.WAL.Files, from, open, matches)
	if err == nil && found == nil && from > 0 {
		// It is not where it was to be expected.
		found, err = firstRecord(ctx, p.WAL.Files, 0, open, matches)
	}
	switch {
	case err != nil:
		return err
	case found != nil:
		p.stopAtMark(*found, "transaction "+p.Target.Text+" ended")
	case prepared:
		// The record of a prepared transaction's end is not read so far that its number is known.
		p.warn("No transaction %s ended in the archived WAL after the backup, unless it was a prepared one.", p.Target.Text)
	default:
		p.unreachable(soft, fmt.Sprintf("The target transaction %s cannot be reached: it did not end in the archived WAL after the backup", p.Target.Text),
			"Subtransactions, and transactions that have changed nothing, do not count. "+p.reachAdvice())
	}
	return nil
}

// nearXID returns the index of a file before which the transaction hardly ended, having read few of them: numbers rise
// along the WAL, by and large.
func nearXID(ctx context.Context, files []WALFile, xid uint32, open segmentOpener) (int, error) {
	near, err := bisect(len(files), func(i int) (bool, error) {
		// Numbers go in a circle, of which one half is older.
		young, err := firstRecord(ctx, files[i:i+1], 0, open, func(r record.Record) bool { return r.XID != 0 && int32(r.XID-xid) >= 0 })
		return young != nil, unlessCancelled(ctx, err)
	})
	// A record that goes on from one file to the next is seen only when both are read.
	return max(0, near-1), err
}

// checkName looks for the first restore point of the target's name.
func checkName(ctx context.Context, p *Plan, soft bool, open segmentOpener) error {
	found, err := firstRecord(ctx, p.WAL.Files, 0, open, func(r record.Record) bool {
		return r.LSN >= p.WAL.Begin && r.Kind == record.RestorePoint && r.Name == p.Target.Text
	})
	switch {
	case err != nil:
		return err
	case found != nil:
		p.stopAtMark(*found, "restore point '"+p.Target.Text+"' was made")
	default:
		p.unreachable(soft, fmt.Sprintf("The restore point '%s' cannot be reached: it is not in the archived WAL after the backup", p.Target.Text),
			"Check the name, upper and lower case included. "+p.reachAdvice())
	}
	return nil
}

// stopAtMark ends the plan's WAL at a record, unless PostgreSQL would come there before it is consistent and give up.
func (p *Plan) stopAtMark(s stop, what string) {
	if s.lsn < p.Backup.EndLSN {
		p.refuse(fmt.Sprintf("The target %s at %s, before the end of the backup at %s, where it becomes consistent", what, s.lsn, p.Backup.EndLSN),
			"Choose an older backup, or a later target.")
		return
	}
	p.WAL.stopAt(s, p.Backup.SegmentSize)
}
