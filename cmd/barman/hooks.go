package main

import (
	"context"
	"os"

	"github.com/barman-go/barman/core/archive"
	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/config"
	"github.com/barman-go/barman/core/hook"
	"github.com/barman-go/barman/core/pluginhost"
	"github.com/barman-go/barman/core/wal"
	sdkhook "github.com/barman-go/barman/sdk/hook"
	"github.com/barman-go/barman/sdk/schema"
)

// hookSet runs the hooks of one server, and fits what core packages ask for to what hooks are told.
type hookSet struct {
	*hook.Set
	s *server
}

// hooks collects the hook scripts and hook blocks of the server. No plugin starts before one is needed.
func (s *server) hooks() (hookSet, error) {
	all := hook.Scripts(
		func(option string) string {
			v, _ := s.Value(option)
			text, _ := v.Go.(string)
			return text
		},
		func(command string) hook.Opener {
			return func(ctx context.Context) (hook.Runner, error) {
				return s.plugins().Hook(ctx, "script", s.use("hook", "script", schema.Values{"command": command}))
			}
		})
	for _, b := range s.Hooks {
		name, use := b.Config.Name, s.hookUse(b)
		all = append(all, hook.Hook{
			Event: b.Event, Phase: b.Phase, Retry: b.Retry, Timeout: b.Timeout, Title: name,
			Open: func(ctx context.Context) (hook.Runner, error) { return s.plugins().Hook(ctx, name, use) },
		})
	}
	directory, err := os.Getwd()
	if err != nil {
		return hookSet{}, err
	}
	return hookSet{hook.NewSet(hook.Options{
		Directory: directory, Version: compatible, Server: s.Name, Configuration: s.cfg.Path, Environ: os.Environ(), Log: s.log.Named("hook"),
	}, all), s}, nil
}

// hookUse says how the plugin of a hook block is used.
func (s *server) hookUse(b config.HookBlock) pluginhost.Use {
	use := s.use("hook", b.Config.Name, nil)
	use.Path, use.SHA256 = b.Config.Path, b.Config.SHA256
	use.Decode = decodeBlock(b.Config, nil)
	return use
}

// describe says what hooks learn about a backup.
func (h hookSet) describe(b *catalog.BackupInfo) hook.Backup {
	var out hook.Backup
	var err error
	if out.InfoPath, err = h.s.catalog.InfoPath(b.ID); err != nil {
		h.s.log.Warn("it is not certain where backup.info is", "server", h.s.Name, "backup", b.ID, "error", err)
	}
	out.ID, out.Status, out.Error = b.ID, string(b.Status), b.Error
	out.Directory = h.s.layout.BackupPath(b.ID)
	list, err := h.s.catalog.List()
	if err != nil {
		// The hook runs without its neighbours: it matters more that it runs.
		h.s.log.Warn("hooks cannot be told the neighbours of the backup", "server", h.s.Name, "backup", b.ID, "error", err)
	} else {
		if p := list.Previous(b.ID, catalog.Usable...); p != nil {
			out.PreviousID = p.ID
		}
		if n := list.Next(b.ID, catalog.Usable...); n != nil {
			out.NextID = n.ID
		}
	}
	return out
}

// backupHooks are the hooks around a backup.
type backupHooks struct{ hookSet }

func (h hookSet) backup() backupHooks { return backupHooks{h} }

func (h backupHooks) Pre(ctx context.Context, b *catalog.BackupInfo) error {
	if !h.Has(sdkhook.EventBackup) {
		return nil
	}
	return h.Set.Pre(ctx, hook.BackupEvent(h.describe(b)))
}

func (h backupHooks) Post(ctx context.Context, b *catalog.BackupInfo) {
	if h.Has(sdkhook.EventBackup) {
		h.Set.Post(ctx, hook.BackupEvent(h.describe(b)))
	}
}

// deleteHooks are the hooks around the delete of a backup and of WAL files.
type deleteHooks struct{ hookSet }

func (h hookSet) deletes() deleteHooks { return deleteHooks{h} }

func (h deleteHooks) PreDelete(ctx context.Context, b *catalog.BackupInfo) error {
	if !h.Has(sdkhook.EventDelete) {
		return nil
	}
	return h.Set.Pre(ctx, hook.DeleteEvent(h.describe(b)))
}

func (h deleteHooks) PostDelete(ctx context.Context, b *catalog.BackupInfo) {
	if h.Has(sdkhook.EventDelete) {
		h.Set.Post(ctx, hook.DeleteEvent(h.describe(b)))
	}
}

func (h deleteHooks) HasWALDelete() bool { return h.Has(sdkhook.EventWALDelete) }

func (h deleteHooks) PreWALDelete(ctx context.Context, r catalog.WALRecord) error {
	if !h.Has(sdkhook.EventWALDelete) {
		return nil
	}
	return h.Set.Pre(ctx, hook.WALDeleteEvent(h.walRecord(r, nil)))
}

func (h deleteHooks) PostWALDelete(ctx context.Context, r catalog.WALRecord, err error) {
	if h.Has(sdkhook.EventWALDelete) {
		h.Set.Post(ctx, hook.WALDeleteEvent(h.walRecord(r, err)))
	}
}

func (h deleteHooks) walRecord(r catalog.WALRecord, err error) hook.WAL {
	w := hook.WAL{Name: r.Name, Size: r.Size, Timestamp: r.ModTime, Compression: r.Compression}
	if name, perr := wal.ParseFileName(r.Name); perr == nil {
		w.File = h.s.layout.WALPath(name)
	}
	if err != nil {
		w.Error = err.Error()
	}
	return w
}

// archiveHooks are the hooks around the archiving of a WAL file.
type archiveHooks struct{ hookSet }

func (h hookSet) archive() archiveHooks { return archiveHooks{h} }

func (h archiveHooks) Empty() bool { return !h.Has(sdkhook.EventArchive) }

func (h archiveHooks) Pre(ctx context.Context, seg archive.Segment) error {
	return h.Set.Pre(ctx, hook.ArchiveEvent(archivedWAL(seg)))
}

func (h archiveHooks) Post(ctx context.Context, seg archive.Segment) {
	h.Set.Post(ctx, hook.ArchiveEvent(archivedWAL(seg)))
}

func archivedWAL(seg archive.Segment) hook.WAL {
	w := hook.WAL{
		Name: seg.Name.String(), File: seg.Path, Size: seg.Size, Timestamp: catalog.Seconds(seg.Time), Compression: seg.Compression,
	}
	if seg.Err != nil {
		w.Error = seg.Err.Error()
	}
	return w
}
