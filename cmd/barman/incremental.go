package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/postgres"
)

// sinceIncremental is the first server_version_num with block-level incremental backups.
const sinceIncremental = 170000

// incrementalParent finds the backup that a block-level incremental one is to be based on, and refuses what cannot work, as far as that
// can be known before the backup.
func (s *server) incrementalParent(ctx context.Context, text string) (id string, err error) {
	parent, err := s.findParent(ctx, text)
	if err != nil {
		return "", fmt.Errorf("failed to start backup: %w", err)
	}
	return parent.ID, nil
}

func (s *server) findParent(ctx context.Context, text string) (*catalog.BackupInfo, error) {
	conn, err := s.connect(ctx, s.ConnInfo)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	facts, err := conn.Facts(ctx, postgres.FactsOptions{})
	switch {
	case err != nil:
		return nil, err
	case facts.Version.Num < sinceIncremental:
		return nil, errors.New("Postgres version 17 or greater is required for incremental backups using the Postgres backup method")
	case s.BackupMethod != "postgres":
		return nil, errors.New("Backup using the `--incremental` flag is available only for 'backup_method = postgres'. " +
			"Check Barman's documentation for more help on this topic.")
	case facts.SummarizeWAL() != "on":
		return nil, errors.New("'summarize_wal' option has to be enabled in the Postgres server to perform an incremental backup " +
			"using the Postgres backup method")
	}
	parent, list, err := s.backup(text)
	if err != nil {
		return nil, err
	}
	_, complete := list.Chain(parent)
	switch {
	case parent.SummarizeWAL != "on":
		return nil, fmt.Errorf("Backup ID %s is not eligible as a parent for an incremental backup because WAL summaries "+
			"were not enabled when that backup was taken.", parent.ID)
	case !parent.Status.In(catalog.Usable...):
		return nil, fmt.Errorf("Backup ID %s is not eligible as a parent for an incremental backup because its status is %s.",
			parent.ID, parent.Status)
	case !complete:
		return nil, fmt.Errorf("Backup ID %s is not eligible as a parent for an incremental backup because a backup that it is based on "+
			"is missing.", parent.ID)
	}
	return parent, nil
}
