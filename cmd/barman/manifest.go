package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/manifest"
	"github.com/barman-go/barman/core/report"
)

func newVerifyBackupCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "verify-backup SERVER BACKUP_ID",
		Aliases: []string{"verify"},
		Short:   "Compare the files of a backup with its manifest",
		Long: `Read every file of a backup and compare it with the backup's manifest: what is missing, what is there and should not be, sizes and
checksums. PostgreSQL's programs are not needed.

Backups of method postgres have a manifest from PostgreSQL 13 on; others get one from "backup --manifest" or generate-manifest. Of a
backup that is stored as tar archives nothing can be verified before it is restored.`,
		Example: "  barman verify-backup main latest\n  barman -f json verify main 20260107T095500",
		Args:    usage(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			verify := func(ctx context.Context, s *server, b *catalog.BackupInfo, _ *catalog.Backups) error {
				// Barman prints the name like this, as a list of one.
				a.out.Info("Verifying backup '%s' on server ['%s']", args[1], s.Name)
				return s.verifyBackup(ctx, b)
			}
			return a.oneBackup(showAll, verify)(cmd, args)
		},
	}
	completeBackups(a, cmd)
	return cmd
}

func newGenerateManifestCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "generate-manifest SERVER BACKUP_ID",
		Short: "Write the manifest of a backup that has none",
		Long: `Read every file of a backup and write a backup_manifest, in PostgreSQL's format, into its data directory. The files of tablespaces are
listed in backup_manifest.tablespaces beside it. A manifest says how the files are now, so write it when the backup is known to be good.`,
		Example: "  barman generate-manifest main latest",
		Args:    usage(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			generate := func(ctx context.Context, s *server, b *catalog.BackupInfo, _ *catalog.Backups) error {
				if err := s.generateManifest(ctx, b); err != nil {
					return err
				}
				a.out.Info("Backup manifest for backup '%s' successfully generated for server ['%s']", args[1], s.Name)
				return nil
			}
			return a.oneBackup(normal, generate)(cmd, args)
		},
	}
	completeBackups(a, cmd)
	return cmd
}

func (s *server) generateManifest(ctx context.Context, b *catalog.BackupInfo) error {
	if b.Status != catalog.StatusDone && b.Status != catalog.StatusWaitingForWALs {
		return fmt.Errorf("backup %s of server %s is %s: a manifest would list files of a backup that is not complete", b.ID, s.Name, b.Status)
	}
	tree := manifest.TreeOf(s.layout, b)
	bar := s.out.Progress("manifest " + s.Name)
	defer bar.Done()
	err := manifest.Generate(ctx, tree, manifest.Options{Workers: runtime.NumCPU(), Progress: bar, Total: b.Size.N})
	if errors.Is(err, fs.ErrExist) {
		bar.Done()
		s.out.Exception(fmt.Errorf("File %s already exists.", tree.ManifestPath()))
		return errReported
	}
	return err
}

// verifyBackup reports what is wrong with a backup. Its words are those of Barman and pg_verifybackup.
func (s *server) verifyBackup(ctx context.Context, b *catalog.BackupInfo) error {
	tree := manifest.TreeOf(s.layout, b)
	bar := s.out.Progress("verify " + s.Name)
	defer bar.Done()
	found, err := manifest.Verify(ctx, tree, manifest.Options{Workers: runtime.NumCPU(), Progress: bar, Total: b.Size.N})
	bar.Done()
	if ctx.Err() != nil {
		return err
	}
	failed := func(reason string) error {
		s.out.Error("verify backup failure on directory '%s'", tree.Data)
		s.out.Error("%s", reason)
		return errReported
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return failed(fmt.Sprintf("%s\nThere is nothing to compare with: 'barman generate-manifest %s %s' lists the files as they are now", err, s.Name, b.ID))
	case errors.Is(err, manifest.ErrArchives):
		return failed(fmt.Sprintf("%s: restore it to verify it", err))
	case err != nil:
		return failed(err.Error())
	}
	if found.SystemID != "" && b.SystemID != "" && found.SystemID != b.SystemID {
		found.Problems = append(found.Problems, manifest.Problem{
			Path: manifest.Name, Kind: "system identifier",
			Text: fmt.Sprintf("manifest system identifier is %s, but the backup is of %s", found.SystemID, b.SystemID),
		})
		found.Count++
	}
	s.out.Result(verification{s.Name, b.ID, found})
	for _, oid := range found.Unlisted {
		s.out.Warning("the files of tablespace %s are not in the manifest and were not verified", oid)
	}
	if found.Count > 0 {
		return failed(verification{s.Name, b.ID, found}.problems())
	}
	s.out.Info("backup successfully verified")
	return nil
}

// verification is the JSON of verify-backup; the console gets messages.
type verification struct {
	server, id string
	*manifest.Report
}

func (verification) Console(*report.Printer) {}

func (v verification) JSON() map[string]any {
	problems := []any{}
	for _, p := range v.Problems {
		problems = append(problems, map[string]any{"path": p.Path, "problem": string(p.Kind), "message": p.Text})
	}
	unlisted := []any{}
	for _, oid := range v.Unlisted {
		unlisted = append(unlisted, oid)
	}
	return map[string]any{v.server: map[string]any{
		"backup_id": v.id, "verified": v.Count == 0, "files": v.Files, "bytes": v.Bytes,
		"problems": problems, "problems_count": v.Count, "unverified_tablespaces": unlisted,
	}}
}

// problems is one line for each problem.
func (v verification) problems() string {
	lines := make([]string, 0, len(v.Problems)+1)
	for _, p := range v.Problems {
		lines = append(lines, p.Text)
	}
	if more := v.Count - int64(len(v.Problems)); more > 0 {
		lines = append(lines, fmt.Sprintf("… and %d more", more))
	}
	return strings.Join(lines, "\n")
}
