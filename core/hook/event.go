package hook

import sdkhook "github.com/barman-go/barman/sdk/hook"

// Event is what happens, in plain values. Make one with the functions below, anew for each phase, since size, status
// and error change in between.
type Event struct {
	// Op correlates log lines; may be empty.
	Op string

	name     string
	backup   *Backup
	wal      *WAL
	recovery *Recovery
}

// Backup is what hooks learn about a backup. ID, Status and Directory are always set, also before the directory exists;
// PreviousID and NextID are the nearest backups in status WAITING_FOR_WALS or DONE, or empty.
type Backup struct {
	sdkhook.Backup
	// InfoPath is where backup.info is at the moment.
	InfoPath string
}

// WAL is what hooks learn about a WAL file. Before archiving, File, Size and Compression are those of the source,
// afterwards those of the archived file.
type WAL = sdkhook.WAL

// Recovery is what hooks learn about a recovery.
type Recovery struct {
	Backup      Backup
	Destination string
	// Tablespaces maps the names of relocated tablespaces to their new locations.
	Tablespaces   map[string]string
	RemoteCommand string
	// Options are target_time, target_xid, target_lsn, target_name, target_tli, target_immediate, target_action,
	// exclusive, standby_mode, recovery_conf_filename and recovery_option_port, each a string, bool or int. Those that are
	// empty, false or 0 are left out, as if they were not there.
	Options map[string]any
}

// BackupEvent is a base backup.
func BackupEvent(b Backup) Event { return Event{name: sdkhook.EventBackup, backup: &b} }

// DeleteEvent is the deletion of a backup.
func DeleteEvent(b Backup) Event { return Event{name: sdkhook.EventDelete, backup: &b} }

// ArchiveEvent is the archiving of a WAL file.
func ArchiveEvent(w WAL) Event { return Event{name: sdkhook.EventArchive, wal: &w} }

// WALDeleteEvent is the deletion of a WAL file.
func WALDeleteEvent(w WAL) Event { return Event{name: sdkhook.EventWALDelete, wal: &w} }

// RecoveryEvent is a recovery.
func RecoveryEvent(r Recovery) Event { return Event{name: sdkhook.EventRecovery, recovery: &r} }

// request is the event as the plugin gets it.
func (e Event) request(h Hook, environment map[string]string) sdkhook.Event {
	ev := sdkhook.Event{Op: e.Op, Name: e.name, Phase: h.Phase, Retry: h.Retry, Attempt: 1, Environment: environment, WAL: e.wal}
	if e.backup != nil {
		ev.Backup = &e.backup.Backup
	}
	if r := e.recovery; r != nil {
		ev.Recovery = &sdkhook.Recovery{
			Backup: r.Backup.Backup, Destination: r.Destination, Tablespaces: r.Tablespaces,
			RemoteCommand: r.RemoteCommand, OptionsJSON: pythonJSON(truthy(r.Options)),
		}
	}
	return ev
}
