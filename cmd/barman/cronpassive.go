package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/barman-go/barman/core/lock"
	"github.com/barman-go/barman/core/passive"
)

// syncedAtOnce is how many backups of a server are copied at the same time. With a bandwidth limit it is one, so that the limit holds.
const syncedAtOnce = 2

// cronPassive keeps a passive server a copy of its primary, and does the local maintenance. Copying goes on in processes of its own
// when cron has ended: it may take hours, and retention does not wait for it.
func (s *server) cronPassive(ctx context.Context) error {
	keeper, err := s.keeper()
	if err != nil {
		return err
	}
	var errs []error
	if err := s.follow(ctx); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(append(errs, keeper.CheckWaiting(ctx), keeper.Enforce(ctx))...)
}

// follow asks the primary and starts what there is to do.
func (s *server) follow(ctx context.Context) error {
	doc, err := s.askPrimary(ctx)
	if err != nil {
		return fmt.Errorf("Failed to retrieve the primary node status: %w", err)
	}
	errs := []error{s.startBackupSyncs(doc), s.keepMirroring(doc)}
	if doc.WALs > 0 {
		errs = append(errs, s.startWALSync())
	} else {
		s.out.Info("No WAL synchronisation required for server %s", s.Name)
	}
	return errors.Join(errs...)
}

// lag compares this passive server with its primary node.
func (s *server) lag() (passive.Lag, error) {
	p, err := s.primary()
	if err != nil {
		return passive.Lag{}, err
	}
	return p.Lag(s.catalog)
}

// askPrimary asks for what is behind the mark, or for everything.
func (s *server) askPrimary(ctx context.Context) (*passive.Document, error) {
	p, err := s.primary()
	if err != nil {
		return nil, err
	}
	list, err := s.catalog.List()
	if err != nil {
		return nil, err
	}
	mark, err := p.NextMark(list)
	if err != nil {
		return nil, err
	}
	return p.Fetch(ctx, mark)
}

func (s *server) startBackupSyncs(doc *passive.Document) error {
	list, err := s.catalog.List()
	if err != nil {
		return err
	}
	for _, b := range doc.Backups {
		if b.Err != nil {
			s.out.Warning("What the primary says about backup %s of server %s cannot be understood: %s", b.ID, s.Name, b.Err)
		}
	}
	obsolete, err := s.obsolete(passive.WithRemote(s.Name, list, doc))
	if err != nil {
		return err
	}
	ready, waiting := passive.ToCopy(doc, list, obsolete)
	if len(ready)+len(waiting) == 0 {
		s.out.Info("No backup synchronisation required for server %s", s.Name)
		return nil
	}
	held, err := lock.List(s.LockDirectory, s.Name)
	if err != nil {
		return err
	}
	running := map[string]bool{}
	for _, h := range held {
		if h.Name.Kind == lock.SyncBackup {
			running[h.Name.BackupID] = true
			s.out.Info("A synchronisation process for backup %s on server %s is already in progress (%s)", h.Name.BackupID, s.Name, h.Holder)
		}
	}
	free := syncedAtOnce - len(running)
	if s.BandwidthLimit > 0 {
		free = 1 - len(running)
	}
	for _, id := range ready {
		if free <= 0 {
			break
		}
		if running[id] {
			continue
		}
		s.out.Info("Starting copy of backup %s for server %s", id, s.Name)
		if err := s.leaveBehind(nil, nil, "sync-backup", s.Name, id); err != nil {
			return err
		}
		free--
	}
	return nil
}

// keepMirroring makes sure that WAL which the primary is receiving is mirrored, if it receives any.
func (s *server) keepMirroring(doc *passive.Document) error {
	if !doc.Config.Streams {
		return s.interrupt(lock.ReceiveWAL)
	}
	if _, held, err := s.holder(lock.ReceiveWAL); err != nil || held {
		return err
	}
	s.out.Info("Starting to mirror the WAL that the primary of server %s receives", s.Name)
	return s.leaveBehind(nil, nil, "receive-wal", s.Name)
}

func (s *server) startWALSync() error {
	holder, held, err := s.holder(lock.SyncWAL)
	if err != nil {
		return err
	}
	if held {
		s.out.Info("A WAL synchronisation process is already running for server %s (%s)", s.Name, holder)
		return nil
	}
	s.out.Info("Started copy of WAL files for server %s", s.Name)
	return s.leaveBehind(nil, nil, "sync-wals", s.Name)
}

// leaveBehind starts a command of this program that lives on when this one has ended.
func (s *server) leaveBehind(stdout, stderr *os.File, args ...string) error {
	cmd := exec.Command(executable(), append([]string{"-c", s.cfg.Path, "-q"}, args...)...) //nolint:forbidigo // this process is to be left behind
	cmd.Args[0] = os.Args[0]
	if stdout != nil {
		cmd.Stdout, cmd.Stderr = stdout, stderr
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot start %s: %w", args[0], err)
	}
	go cmd.Wait() //nolint:errcheck // only so that it is no zombie should it end before cron does; it logs for itself
	return nil
}
