package passive

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/barman-go/barman/core/catalog"
)

// Document is an answer of sync-info without its WAL files, of which there may be millions.
type Document struct {
	// Last is the end of the primary's index when it answered.
	Last catalog.WALMark
	// Backups are those that the primary can restore, ascending.
	Backups []RemoteBackup
	// Version is that of the primary's Barman. Nothing depends on it.
	Version string
	Config  RemoteConfig
	// WALs is the number of WAL files listed.
	WALs int
}

// RemoteBackup is a backup of the primary.
type RemoteBackup struct {
	ID string
	// Info is what backup.info says there, with its own mode and status. It is nil when Err tells why it cannot be understood.
	Info *catalog.BackupInfo
	Err  error
}

// RemoteConfig are the options of the primary that matter here. Directories are absolute and clean, or empty when not told.
type RemoteConfig struct {
	Name, Compression     string
	Base, WALs, Streaming string
	// Streams tells that WAL is received there as it is written: by the primary from PostgreSQL, or by a passive node from its own
	// primary.
	Streams bool
	// SharesFiles tells that incremental backups share files with earlier ones.
	SharesFiles bool
}

// Backup finds a backup; nil when the primary does not have it.
func (d *Document) Backup(id string) *RemoteBackup {
	i := slices.IndexFunc(d.Backups, func(b RemoteBackup) bool { return b.ID == id })
	if i < 0 {
		return nil
	}
	return &d.Backups[i]
}

// ReadDocument reads an answer of sync-info and checks everything that will be used. Unknown keys, which newer versions send, are
// passed over. each, which may be nil, gets the WAL files one by one, in the order of the primary's index; an error of it ends the reading.
//
// A backup that cannot be understood does not hide the others: see RemoteBackup. Everything else that is wrong is an error, and above
// all an answer that is cut off or has something before or after it, as from a login shell that talks.
func ReadDocument(r io.Reader, each func(catalog.WALRecord) error) (*Document, error) {
	d := &Document{}
	dec := json.NewDecoder(bufio.NewReaderSize(r, 256<<10))
	dec.UseNumber()
	missing := map[string]bool{"last_position": true, "last_name": true, "backups": true, "wals": true, "config": true}
	err := eachMember(dec, func(key string) error {
		delete(missing, key)
		switch key {
		case "last_position":
			return dec.Decode(&d.Last.Position)
		case "last_name":
			return dec.Decode(&d.Last.Name)
		case "version":
			return dec.Decode(&d.Version)
		case "backups":
			return eachMember(dec, func(id string) error { return d.readBackup(dec, id) })
		case "wals":
			return d.readWALs(dec, each)
		case "config":
			return d.Config.read(dec)
		}
		return dec.Decode(new(json.RawMessage))
	})
	if err == nil {
		err = d.check(dec, missing)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		err = errors.New("it is cut off")
	}
	if err != nil {
		return nil, fmt.Errorf("the answer of sync-info cannot be used: %w", err)
	}
	slices.SortFunc(d.Backups, func(a, b RemoteBackup) int { return strings.Compare(a.ID, b.ID) })
	return d, nil
}

func (d *Document) check(dec *json.Decoder, missing map[string]bool) error {
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows its end; does a login shell print something?")
	}
	for _, key := range []string{"last_position", "last_name", "backups", "wals", "config"} {
		if missing[key] {
			return fmt.Errorf("it has no %q", key)
		}
	}
	if d.Last.Position < 0 || d.Last.Name != "" && !isWALName(d.Last.Name) {
		return fmt.Errorf("the end of the index cannot be %q at %d", d.Last.Name, d.Last.Position)
	}
	if d.Last.Name == "" && d.Last.Position != 0 {
		return fmt.Errorf("the index ends at %d, and no file is named", d.Last.Position)
	}
	return nil
}

func (d *Document) readBackup(dec *json.Decoder, id string) error {
	var raw json.RawMessage
	if err := dec.Decode(&raw); err != nil {
		return err
	}
	if !catalog.ValidID(id) {
		return fmt.Errorf("%q is not a backup id", id)
	}
	if d.Backup(id) != nil {
		return fmt.Errorf("backup %s is listed twice", id)
	}
	b := RemoteBackup{ID: id}
	if b.Info, b.Err = decodeBackup(id, raw); b.Err != nil {
		b.Info = nil
	}
	d.Backups = append(d.Backups, b)
	return nil
}

// remoteWAL is a WAL file of the list.
type remoteWAL struct {
	Compression *string  `json:"compression"`
	Encryption  *string  `json:"encryption"`
	Name        string   `json:"name"`
	Size        int64    `json:"size"`
	Time        *float64 `json:"time"`
}

func (d *Document) readWALs(dec *json.Decoder, each func(catalog.WALRecord) error) error {
	if err := expect(dec, '['); err != nil {
		return err
	}
	for dec.More() {
		var w remoteWAL
		if err := dec.Decode(&w); err != nil {
			return fmt.Errorf("WAL file %d: %w", d.WALs+1, err)
		}
		d.WALs++
		if w.Time == nil {
			return fmt.Errorf("WAL file %q has no time", w.Name)
		}
		record := catalog.WALRecord{Name: w.Name, Size: w.Size, ModTime: *w.Time}
		if w.Compression != nil {
			record.Compression = *w.Compression
		}
		if w.Encryption != nil {
			record.Encryption = *w.Encryption
		}
		if err := record.Validate(); err != nil {
			return err
		}
		if each != nil {
			if err := each(record); err != nil {
				return err
			}
		}
	}
	return expect(dec, ']')
}

func (c *RemoteConfig) read(dec *json.Decoder) error {
	var raw struct {
		Name              *string `json:"name"`
		Compression       *string `json:"compression"`
		Base              *string `json:"basebackups_directory"`
		WALs              *string `json:"wals_directory"`
		Streaming         *string `json:"streaming_wals_directory"`
		StreamingArchiver any     `json:"streaming_archiver"`
		PrimarySSH        any     `json:"primary_ssh_command"`
		Reuse             any     `json:"reuse_backup"`
	}
	if err := dec.Decode(&raw); err != nil {
		return fmt.Errorf("its configuration: %w", err)
	}
	for _, field := range []struct {
		to        *string
		from      *string
		directory bool
	}{{&c.Name, raw.Name, false}, {&c.Compression, raw.Compression, false}, {&c.Base, raw.Base, true}, {&c.WALs, raw.WALs, true}, {&c.Streaming, raw.Streaming, true}} {
		if field.from == nil {
			continue
		}
		if field.directory && !isDirectory(*field.from) {
			return fmt.Errorf("its configuration names %q as a directory", *field.from)
		}
		*field.to = *field.from
	}
	ssh, _ := raw.PrimarySSH.(string)
	c.Streams = raw.StreamingArchiver == true || ssh != ""
	c.SharesFiles = raw.Reuse == "link"
	return nil
}

// isDirectory tells whether a text is the plain absolute path of a directory other than the root.
func isDirectory(dir string) bool {
	return path.IsAbs(dir) && path.Clean(dir) == strings.TrimRight(dir, "/") && !strings.ContainsFunc(dir, func(c rune) bool { return c < ' ' })
}

// eachMember calls f for the members of an object, when the decoder stands before the value.
func eachMember(dec *json.Decoder, f func(key string) error) error {
	if err := expect(dec, '{'); err != nil {
		return err
	}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		key, ok := token.(string)
		if !ok {
			return fmt.Errorf("%v stands where a key is expected", token)
		}
		if err := f(key); err != nil {
			return err
		}
	}
	return expect(dec, '}')
}

func expect(dec *json.Decoder, want json.Delim) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	if token != want {
		return fmt.Errorf("%v stands where %v is expected", token, want)
	}
	return nil
}
