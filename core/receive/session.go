package receive

import (
	"context"
	"errors"
	"fmt"

	"github.com/barman-go/barman/core/postgres"
	"github.com/barman-go/barman/core/wal"
)

// session is one replication session, and what is known of the server at its other end.
type session struct {
	*run
	conn     *postgres.ReplicationConn
	identity postgres.Identity
	state    State
	// expect is what the first page of every segment has to say.
	expect wal.Expect
}

// greet finds out who the server is and refuses one that is not the right one.
func (r *run) greet(ctx context.Context, conn *postgres.ReplicationConn) (*session, error) {
	s := &session{run: r, conn: conn}
	var err error
	if s.identity, err = conn.IdentifySystem(ctx); err != nil {
		return nil, err
	}
	if err := s.sameCluster(); err != nil {
		return nil, err
	}
	size, err := conn.SegmentSize(ctx)
	if err != nil {
		return nil, err
	}
	version, err := conn.Version()
	if err != nil {
		return nil, err
	}
	s.expect = wal.Expect{SystemID: s.identity.SystemID, Version: version.Num / 10000, SegmentSize: size}
	return s, s.examineSlot(ctx)
}

func (s *session) sameCluster() error {
	id := s.identity.SystemID
	switch {
	case s.SystemID != 0 && s.SystemID != id:
		return finalf("the server of streaming_conninfo has system identifier %s, the backups of '%s' are of %s: "+
			"correct the connection string, or use a new server name or backup directory for another cluster", id, s.Server, s.SystemID)
	case s.known != 0 && s.known != id:
		return finalf("the server of streaming_conninfo has become another cluster: its system identifier was %s and is %s", s.known, id)
	}
	s.known = id
	return nil
}

// examineSlot asks for the state of the slot, and whether commits wait.
func (s *session) examineSlot(ctx context.Context) error {
	var err error
	if s.state, err = s.Ask(ctx); err != nil {
		if s.received && s.Slot != "" {
			// The start of streaming tells the same, in other words.
			s.Log.Warn("cannot ask for the state of the replication slot", "server", s.Server, "error", err)
			return nil
		}
		return err
	}
	s.synchronous.Store(s.state.Synchronous)
	if s.Slot == "" {
		return nil
	}
	switch slot := s.state.Slot; {
	case slot == nil && s.CreateSlot && !s.received:
		s.Out.Info("Creating replication slot '%s'", s.Slot)
		if err := s.conn.CreatePhysicalSlot(ctx, s.Slot); err != nil && !errors.Is(err, postgres.ErrSlotExists) {
			return final{err}
		}
	case slot == nil:
		return s.noSlot()
	case slot.Type != "physical":
		return finalf("replication slot '%s' is a %s one: choose another slot_name", s.Slot, slot.Type)
	case slot.WALStatus == "lost":
		return s.slotLost()
	case slot.Active:
		return s.slotInUse()
	}
	return nil
}

func (s *session) noSlot() error {
	return finalf("replication slot '%s' doesn't exist. Please execute 'barman receive-wal --create-slot %s'", s.Slot, s.Server)
}

func (s *session) slotLost() error {
	return finalf("replication slot '%s' is lost: the server has removed WAL that was not received (max_slot_wal_keep_size). "+
		"Execute 'barman receive-wal --drop-slot %[2]s', '--create-slot' and '--reset', then take a new backup", s.Slot, s.Server)
}

// slotInUse is final unless the other user may be our own lost connection, of which the server does not know yet.
func (s *session) slotInUse() error {
	err := fmt.Errorf("replication slot '%s' is already in use", s.Slot)
	if s.received && (s.lost.IsZero() || s.Now().Sub(s.lost) < slotPatience) {
		return err
	}
	return final{err}
}

// explain turns the server's refusal to stream into words that say what to do.
func (s *session) explain(err error, at position) error {
	switch {
	case errors.Is(err, postgres.ErrNoSlot):
		return s.noSlot()
	case errors.Is(err, postgres.ErrSlotLost):
		return s.slotLost()
	case errors.Is(err, postgres.ErrSlotActive):
		return s.slotInUse()
	case errors.Is(err, postgres.ErrWALRemoved):
		return finalf("%w. WAL from %s on was not received. Execute 'barman receive-wal --reset %s' to go on with the WAL that the server has, "+
			"then take a new backup: there is a gap", err, at.segment(s.expect.SegmentSize), s.Server)
	case errors.Is(err, postgres.ErrNotInHistory):
		return finalf("%w. The WAL received so far and that of the server have parted. Execute 'barman receive-wal --reset %s' to go on with "+
			"the server's WAL, then take a new backup", err, s.Server)
	}
	return err
}
