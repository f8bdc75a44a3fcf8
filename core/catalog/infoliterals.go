package catalog

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/barman-go/barman/core/catalog/pyliteral"
)

func copyStatsField(key string) infoField {
	return infoField{
		key: key,
		format: func(b *BackupInfo) (string, error) {
			if b.CopyStats.IsZero() {
				return null, nil
			}
			return pyliteral.Format(b.CopyStats.Dict())
		},
		parse: func(b *BackupInfo, text string, _ *time.Location) (err error) {
			b.CopyStats, err = parseCopyStats(text)
			return err
		},
	}
}

func snapshotsField(key string) infoField {
	return infoField{
		key: key,
		format: func(b *BackupInfo) (string, error) {
			if b.SnapshotsInfo == nil {
				return null, nil
			}
			return pyliteral.Format(b.SnapshotsInfo)
		},
		parse: func(b *BackupInfo, text string, _ *time.Location) (err error) {
			b.SnapshotsInfo, err = parseDict(text)
			return err
		},
	}
}

func includedFilesField(key string) infoField {
	return infoField{
		key: key,
		format: func(b *BackupInfo) (string, error) {
			if len(b.IncludedFiles) == 0 {
				return null, nil
			}
			return pyliteral.Format(b.IncludedFiles)
		},
		parse: func(b *BackupInfo, text string, _ *time.Location) error {
			items, err := parseList(text)
			if err != nil {
				return err
			}
			b.IncludedFiles = nil
			for _, item := range items {
				s, ok := item.(string)
				if !ok {
					return fmt.Errorf("%v is not a path", item)
				}
				b.IncludedFiles = append(b.IncludedFiles, s)
			}
			return nil
		},
	}
}

// tablespacesField is a list of tuples (name, oid, location).
func tablespacesField(key string) infoField {
	return infoField{
		key: key,
		format: func(b *BackupInfo) (string, error) {
			if len(b.Tablespaces) == 0 {
				return null, nil
			}
			list := make([]any, 0, len(b.Tablespaces))
			for _, t := range b.Tablespaces {
				list = append(list, pyliteral.Tuple{t.Name, int64(t.OID), t.Location})
			}
			return pyliteral.Format(list)
		},
		parse: func(b *BackupInfo, text string, _ *time.Location) error {
			items, err := parseList(text)
			if err != nil {
				return err
			}
			b.Tablespaces = nil
			for _, item := range items {
				t, err := parseTablespace(item)
				if err != nil {
					return err
				}
				b.Tablespaces = append(b.Tablespaces, t)
			}
			return nil
		},
	}
}

func parseTablespace(v any) (Tablespace, error) {
	fields, ok := v.(pyliteral.Tuple)
	if list, isList := v.([]any); isList {
		fields, ok = pyliteral.Tuple(list), true
	}
	if ok && len(fields) == 3 {
		name, nameOK := fields[0].(string)
		oid, oidOK := fields[1].(int64)
		location, locationOK := fields[2].(string)
		if nameOK && oidOK && locationOK && oid > 0 && oid <= math.MaxUint32 {
			return Tablespace{Name: name, OID: uint32(oid), Location: location}, nil
		}
	}
	return Tablespace{}, errors.New("want tablespaces as tuples of a name, an oid and a location")
}

func parseList(text string) ([]any, error) {
	v, err := pyliteral.Parse(text)
	if err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case []any:
		return v, nil
	case pyliteral.Tuple:
		return v, nil
	}
	return nil, fmt.Errorf("want a list, found %T", v)
}
