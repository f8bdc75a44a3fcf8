package catalog

import (
	"fmt"
	"slices"
	"strings"
)

// UnknownBackupError means that no backup answers to what the user typed.
type UnknownBackupError struct {
	Server, Text string
	// Unreadable is set when the backup exists and its file cannot be understood.
	Unreadable error
}

func (e *UnknownBackupError) Error() string {
	if e.Unreadable != nil {
		return fmt.Sprintf("Backup '%s' of server '%s' cannot be read: %v", e.Text, e.Server, e.Unreadable)
	}
	return fmt.Sprintf("Unknown backup '%s' for server '%s'", e.Text, e.Server)
}

func (e *UnknownBackupError) Unwrap() []error {
	if e.Unreadable != nil {
		return []error{ErrNoBackup, e.Unreadable}
	}
	return []error{ErrNoBackup}
}

// AmbiguousNameError means that several backups have the name that the user typed.
type AmbiguousNameError struct {
	Name string
	IDs  []string
}

func (e *AmbiguousNameError) Error() string {
	return fmt.Sprintf("Multiple backups found matching name '%s' (try using backup ID instead): %s",
		e.Name, strings.Join(e.IDs, " "))
}

// shortcuts are the words that stand for a backup, in the order of the manual.
var shortcuts = []struct {
	words []string
	find  func(*Backups) *BackupInfo
}{
	{[]string{"latest", "last"}, func(l *Backups) *BackupInfo { return l.Last(Usable...) }},
	{[]string{"oldest", "first"}, func(l *Backups) *BackupInfo { return l.First(Usable...) }},
	{[]string{"last-failed"}, func(l *Backups) *BackupInfo { return l.Last(StatusFailed) }},
	{[]string{"latest-full", "last-full"}, func(l *Backups) *BackupInfo {
		for _, b := range slices.Backward(l.All) {
			if b.Status.In(Usable...) && b.IsFull() {
				return b
			}
		}
		return nil
	}},
}

// autoWord is a word that only restore understands; it is no name for a backup.
const autoWord = "auto"

// Resolve finds the backup that the user means, as the Barman manual describes it (chapter on command line
// shortcuts): one of the words latest, last, oldest, first, last-failed, latest-full and last-full; otherwise an id;
// otherwise a name given with --name. Words and names mean usable backups, except last-failed; an id reaches every
// backup.
//
// Barman takes any part of "last-failed" for the whole, even an empty text; here only the whole word counts.
//
// The error is an *UnknownBackupError, which matches ErrNoBackup, or an *AmbiguousNameError. Their texts are
// Barman's, ready to be shown.
func (l *Backups) Resolve(text string) (*BackupInfo, error) {
	for _, s := range shortcuts {
		if slices.Contains(s.words, text) {
			if b := s.find(l); b != nil {
				return b, nil
			}
			return nil, &UnknownBackupError{Server: l.server, Text: text}
		}
	}
	if b := l.byID[text]; b != nil && ValidID(text) {
		return b, nil
	}
	for _, u := range l.Unreadable {
		if u.ID == text {
			return nil, &UnknownBackupError{Server: l.server, Text: text, Unreadable: u.Err}
		}
	}
	var found []*BackupInfo
	if text != "" && !ValidID(text) {
		for _, b := range l.With(Usable...) {
			if b.BackupName == text {
				found = append(found, b)
			}
		}
	}
	switch len(found) {
	case 0:
		return nil, &UnknownBackupError{Server: l.server, Text: text}
	case 1:
		return found[0], nil
	}
	ids := make([]string, 0, len(found))
	for _, b := range found {
		ids = append(ids, b.ID)
	}
	return nil, &AmbiguousNameError{Name: text, IDs: ids}
}

// ValidateName returns an error when a backup cannot be given this name, because Resolve would understand it as
// something else or backup.info could not hold it.
func ValidateName(name string) error {
	reserved := name == autoWord
	for _, s := range shortcuts {
		reserved = reserved || slices.Contains(s.words, name)
	}
	switch {
	case name == "":
		return fmt.Errorf("a backup name cannot be empty")
	case reserved:
		return fmt.Errorf("backup name %q is not allowed: it is a shortcut for a backup", name)
	case ValidID(name):
		return fmt.Errorf("backup name %q is not allowed: it looks like a backup id", name)
	case name == null || strings.TrimSpace(name) != name || strings.ContainsAny(name, "\r\n"):
		return fmt.Errorf("backup name %q is not allowed: the catalog cannot store it", name)
	}
	return nil
}
