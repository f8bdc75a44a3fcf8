package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/barman-go/barman/core/postgres"
)

// replicationSession opens a replication session for a command about the slot.
func (s *server) replicationSession(ctx context.Context, what string) (*postgres.ReplicationConn, error) {
	if s.StreamingConnInfo == "" && s.WALStreamingConnInfo == "" {
		return nil, fmt.Errorf("Unable to %s a physical replication slot: streaming connection not configured", what)
	}
	if s.SlotName == "" {
		return nil, fmt.Errorf("Unable to %s a physical replication slot: slot_name configuration option required", what)
	}
	s.sayOverrides()
	info, err := s.streamingInfo()
	if err != nil {
		return nil, err
	}
	conn, err := postgres.ConnectReplication(ctx, info, s.StreamingArchiverName)
	if err != nil {
		return nil, fmt.Errorf("Cannot connect to server '%s': %w", s.Name, err)
	}
	return conn, nil
}

func (s *server) createSlot(ctx context.Context, ifNotExists bool) error {
	conn, err := s.replicationSession(ctx, "create")
	if err != nil {
		return err
	}
	defer conn.Close()
	s.out.Info("Creating physical replication slot '%s' on server '%s'", s.SlotName, s.Name)
	err = conn.CreatePhysicalSlot(ctx, s.SlotName)
	switch {
	case errors.Is(err, postgres.ErrSlotExists) && ifNotExists:
		s.out.Info("Replication slot '%s' already exists and --if-not-exists was specified. Skipping creation", s.SlotName)
		return nil
	case errors.Is(err, postgres.ErrSlotExists):
		return fmt.Errorf("Replication slot '%s' already exists", s.SlotName)
	case errors.Is(err, postgres.ErrNoFreeSlot):
		return fmt.Errorf("All replication slots for server '%s' are in use\nFree one or increase the max_replication_slots value on your PostgreSQL server.",
			s.Name)
	case err != nil:
		return err
	}
	s.out.Info("Replication slot '%s' created", s.SlotName)
	return nil
}

func (s *server) dropSlot(ctx context.Context) error {
	conn, err := s.replicationSession(ctx, "drop")
	if err != nil {
		return err
	}
	defer conn.Close()
	s.out.Info("Dropping physical replication slot '%s' on server '%s'", s.SlotName, s.Name)
	err = conn.DropSlot(ctx, s.SlotName)
	switch {
	case errors.Is(err, postgres.ErrNoSlot):
		return fmt.Errorf("Replication slot '%s' does not exist", s.SlotName)
	case errors.Is(err, postgres.ErrSlotActive):
		return fmt.Errorf("Cannot drop replication slot '%s' on server '%s' because it is in use.", s.SlotName, s.Name)
	case err != nil:
		return err
	}
	s.out.Info("Replication slot '%s' dropped", s.SlotName)
	return nil
}
