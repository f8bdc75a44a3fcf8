package receive

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/wal"
)

// Reset moves the receiver's position to where the server has WAL: the slot's, or else the server's current one. The caller holds
// the receive-wal lock. WAL that was received before stays for archive-wal; only a partial segment that begins behind the new
// position, whose WAL the server sends again, is removed.
func (r *Receiver) Reset(ctx context.Context) error {
	if err := fsx.MkdirAll(r.Dir, 0o755); err != nil {
		return err
	}
	conn, err := r.Connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	run := &run{Receiver: r}
	s := &session{run: run, conn: conn}
	if s.identity, err = conn.IdentifySystem(ctx); err != nil {
		return err
	}
	if err := s.sameCluster(); err != nil {
		return err
	}
	if s.expect.SegmentSize, err = conn.SegmentSize(ctx); err != nil {
		return err
	}
	if s.state, err = r.Ask(ctx); err != nil {
		return err
	}
	if r.Slot != "" && s.state.Slot == nil {
		return s.noSlot()
	}
	at, err := s.serverPosition(ctx)
	if err != nil {
		return err
	}
	return s.moveTo(at)
}

// moveTo leaves a partial segment that is the newest entry of the directory.
func (s *session) moveTo(at position) error {
	size := s.expect.SegmentSize
	restart, current := at.segment(size), wal.SegmentForLSN(s.identity.Timeline, s.identity.Flushed, size)
	last, found, _, err := newest(s.Dir, size)
	if err != nil {
		return err
	}
	if !found || last.segment == restart {
		s.Out.Info("Nothing to do. Position of receive-wal is aligned.")
		return nil
	}
	if last.segment.Compare(current) > 0 {
		return fmt.Errorf("the newest file in %s, %s, is ahead of the server's current WAL file %s: is this the right server? "+
			"Move the files away that do not belong to it, then try again", s.Dir, last.segment, current)
	}
	s.Out.Info("Resetting receive-wal directory status")
	if last.partial && last.after(entry{restart, true}, size) {
		path := filepath.Join(s.Dir, wal.PartialName(last.segment))
		s.Out.Info("Removing status file %s", path)
		if err := fsx.Remove(path); err != nil {
			return err
		}
	}
	path := filepath.Join(s.Dir, wal.PartialName(restart))
	s.Out.Info("Creating status file %s", path)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, fileMode)
	if err != nil {
		return fsx.Wrap("create", path, err)
	}
	return errors.Join(f.Close(), fsx.SyncDir(s.Dir))
}
