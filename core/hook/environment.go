package hook

import (
	"maps"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/barman-go/barman/core/catalog/pyliteral"
)

// environment returns the variables of one hook. Every variable of the event's group is there, possibly empty; the names
// and forms are those of the Barman manual, chapter "Hook scripts".
func (s *Set) environment(h Hook, ev Event) map[string]string {
	env := map[string]string{}
	if h.InheritEnvironment {
		maps.Copy(env, s.inherited())
	}
	retry := "0"
	if h.Retry {
		retry = "1"
	}
	maps.Copy(env, map[string]string{
		"BARMAN_VERSION":       s.options.Version,
		"BARMAN_SERVER":        s.options.Server,
		"BARMAN_CONFIGURATION": s.options.Configuration,
		"BARMAN_HOOK":          h.name(),
		"BARMAN_RETRY":         retry,
		"BARMAN_PHASE":         h.Phase,
		"BARMAN_ERROR":         "",
	})
	switch {
	case ev.backup != nil:
		maps.Copy(env, backupVariables(*ev.backup))
	case ev.wal != nil:
		maps.Copy(env, walVariables(*ev.wal))
	case ev.recovery != nil:
		maps.Copy(env, recoveryVariables(*ev.recovery))
	}
	for name, value := range env {
		// gRPC carries text only; error messages of tools may be anything.
		env[name] = strings.ToValidUTF8(value, "\uFFFD")
	}
	return env
}

// inherited is the environment of this process without what is not text: such a value would reach the script changed.
func (s *Set) inherited() map[string]string {
	env := map[string]string{}
	for _, entry := range s.options.Environ {
		name, value, found := strings.Cut(entry, "=")
		switch {
		case !found || name == "":
		case utf8.ValidString(entry):
			env[name] = value
		default:
			s.log.Debug("hooks do not get an environment variable that is not valid UTF-8", "name", strconv.Quote(name))
		}
	}
	if s.options.Directory != "" {
		env["PWD"] = s.options.Directory
	}
	return env
}

func backupVariables(b Backup) map[string]string {
	return map[string]string{
		"BARMAN_BACKUP_DIR":       b.Directory,
		"BARMAN_BACKUP_INFO_PATH": b.InfoPath,
		"BARMAN_BACKUP_ID":        b.ID,
		"BARMAN_PREVIOUS_ID":      b.PreviousID,
		"BARMAN_NEXT_ID":          b.NextID,
		"BARMAN_STATUS":           b.Status,
		"BARMAN_ERROR":            b.Error,
	}
}

func walVariables(w WAL) map[string]string {
	return map[string]string{
		"BARMAN_SEGMENT":     w.Name,
		"BARMAN_FILE":        w.File,
		"BARMAN_SIZE":        strconv.FormatInt(w.Size, 10),
		"BARMAN_TIMESTAMP":   pyliteral.FormatFloat(w.Timestamp),
		"BARMAN_COMPRESSION": w.Compression,
		"BARMAN_ERROR":       w.Error,
	}
}

func recoveryVariables(r Recovery) map[string]string {
	tablespaces := map[string]any{}
	for name, location := range r.Tablespaces {
		tablespaces[name] = location
	}
	env := backupVariables(r.Backup)
	maps.Copy(env, map[string]string{
		"BARMAN_DESTINATION_DIRECTORY": r.Destination,
		"BARMAN_TABLESPACES":           pythonJSON(tablespaces),
		"BARMAN_REMOTE_COMMAND":        r.RemoteCommand,
		"BARMAN_RECOVER_OPTIONS":       pythonJSON(truthy(r.Options)),
		// The error of the backup is not one of its recovery.
		"BARMAN_ERROR": "",
	})
	return env
}
