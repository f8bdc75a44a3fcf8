package catalog

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/barman-go/barman/core/catalog/pyliteral"
	"github.com/barman-go/barman/core/wal"
)

// null is how backup.info writes a value that is not known.
const null = "None"

// infoField is one key of backup.info.
type infoField struct {
	key string
	// hidden keys are left out when they are null; the others are written as key=None.
	hidden bool
	// format returns the text of the field, null when it has its zero value.
	format func(*BackupInfo) (string, error)
	// parse sets the field from a text that is not null.
	parse func(b *BackupInfo, text string, local *time.Location) error
}

// infoFields are the keys in the order in which they are written.
var infoFields = []infoField{
	literalField("backup_label", func(b *BackupInfo) *string { return &b.BackupLabel }),
	hidden(textField("backup_name", func(b *BackupInfo) *string { return &b.BackupName })),
	intField("begin_offset", func(b *BackupInfo) *OptInt { return &b.BeginOffset }),
	timeField("begin_time", func(b *BackupInfo) *time.Time { return &b.BeginTime }),
	segmentField("begin_wal", func(b *BackupInfo) *wal.Segment { return &b.BeginWAL }),
	lsnField("begin_xlog", func(b *BackupInfo) *wal.LSN { return &b.BeginLSN }),
	childrenField("children_backup_ids"),
	intField("cluster_size", func(b *BackupInfo) *OptInt { return &b.ClusterSize }),
	textField("compression", func(b *BackupInfo) *string { return &b.Compression }),
	textField("config_file", func(b *BackupInfo) *string { return &b.ConfigFile }),
	copyStatsField("copy_stats"),
	textField("data_checksums", func(b *BackupInfo) *string { return &b.DataChecksums }),
	intField("deduplicated_size", func(b *BackupInfo) *OptInt { return &b.DeduplicatedSize }),
	// Barman 3.13 and older refuse a file that mentions this key at all; those that know it take a missing line for None.
	hidden(textField("encryption", func(b *BackupInfo) *string { return &b.Encryption })),
	intField("end_offset", func(b *BackupInfo) *OptInt { return &b.EndOffset }),
	timeField("end_time", func(b *BackupInfo) *time.Time { return &b.EndTime }),
	segmentField("end_wal", func(b *BackupInfo) *wal.Segment { return &b.EndWAL }),
	lsnField("end_xlog", func(b *BackupInfo) *wal.LSN { return &b.EndLSN }),
	textField("error", func(b *BackupInfo) *string { return &b.Error }),
	textField("hba_file", func(b *BackupInfo) *string { return &b.HBAFile }),
	textField("ident_file", func(b *BackupInfo) *string { return &b.IdentFile }),
	includedFilesField("included_files"),
	textField("mode", func(b *BackupInfo) *Mode { return &b.Mode }),
	textField("parent_backup_id", func(b *BackupInfo) *string { return &b.ParentID }),
	textField("pgdata", func(b *BackupInfo) *string { return &b.PGData }),
	textField("server_name", func(b *BackupInfo) *string { return &b.ServerName }),
	intField("size", func(b *BackupInfo) *OptInt { return &b.Size }),
	hidden(snapshotsField("snapshots_info")),
	statusField("status"),
	textField("summarize_wal", func(b *BackupInfo) *string { return &b.SummarizeWAL }),
	textField("systemid", func(b *BackupInfo) *string { return &b.SystemID }),
	tablespacesField("tablespaces"),
	numberField("timeline", func(b *BackupInfo) *wal.TimelineID { return &b.Timeline }),
	numberField("version", func(b *BackupInfo) *int { return &b.Version }),
	numberField("xlog_segment_size", func(b *BackupInfo) *wal.SegmentSize { return &b.SegmentSize }),
}

// infoFieldByKey finds a field of infoFields.
var infoFieldByKey = func() map[string]*infoField {
	m := make(map[string]*infoField, len(infoFields))
	for i := range infoFields {
		m[infoFields[i].key] = &infoFields[i]
	}
	return m
}()

func hidden(f infoField) infoField {
	f.hidden = true
	return f
}

func textField[S ~string](key string, at func(*BackupInfo) *S) infoField {
	return infoField{
		key: key,
		format: func(b *BackupInfo) (string, error) {
			s := string(*at(b))
			switch {
			case s == "":
				return null, nil
			case s == null:
				return "", fmt.Errorf("the text %q cannot be stored: it means that there is no value", s)
			case strings.TrimSpace(s) != s || strings.ContainsAny(s, "\r\n"):
				return "", fmt.Errorf("%q cannot be stored: blanks at its ends and line breaks would be lost", s)
			}
			return s, nil
		},
		parse: func(b *BackupInfo, text string, _ *time.Location) error {
			*at(b) = S(text)
			return nil
		},
	}
}

func intField(key string, at func(*BackupInfo) *OptInt) infoField {
	return infoField{
		key: key,
		format: func(b *BackupInfo) (string, error) {
			if n := at(b); n.Valid {
				return strconv.FormatInt(n.N, 10), nil
			}
			return null, nil
		},
		parse: func(b *BackupInfo, text string, _ *time.Location) error {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return fmt.Errorf("%q is not a number", text)
			}
			*at(b) = Int(n)
			return nil
		},
	}
}

func numberField[N ~int | ~uint32 | ~uint64](key string, at func(*BackupInfo) *N) infoField {
	return infoField{
		key: key,
		format: func(b *BackupInfo) (string, error) {
			if n := *at(b); n != 0 {
				return strconv.FormatUint(uint64(n), 10), nil
			}
			return null, nil
		},
		parse: func(b *BackupInfo, text string, _ *time.Location) error {
			n, err := strconv.ParseUint(text, 10, 32)
			if err != nil {
				return fmt.Errorf("%q is not a number", text)
			}
			*at(b) = N(n)
			return nil
		},
	}
}

func timeField(key string, at func(*BackupInfo) *time.Time) infoField {
	return infoField{
		key:    key,
		format: func(b *BackupInfo) (string, error) { return FormatTime(*at(b)), nil },
		parse: func(b *BackupInfo, text string, local *time.Location) (err error) {
			*at(b), err = ParseTime(text, local)
			return err
		},
	}
}

func segmentField(key string, at func(*BackupInfo) *wal.Segment) infoField {
	return infoField{
		key: key,
		format: func(b *BackupInfo) (string, error) {
			if s := *at(b); s != (wal.Segment{}) {
				return s.String(), nil
			}
			return null, nil
		},
		parse: func(b *BackupInfo, text string, _ *time.Location) (err error) {
			*at(b), err = wal.ParseSegment(text)
			return err
		},
	}
}

func lsnField(key string, at func(*BackupInfo) *wal.LSN) infoField {
	return infoField{
		key: key,
		format: func(b *BackupInfo) (string, error) {
			if l := *at(b); l != wal.InvalidLSN {
				return l.String(), nil
			}
			return null, nil
		},
		parse: func(b *BackupInfo, text string, _ *time.Location) (err error) {
			*at(b), err = wal.ParseLSN(text)
			return err
		},
	}
}

func statusField(key string) infoField {
	f := textField(key, func(b *BackupInfo) *Status { return &b.Status })
	f.parse = func(b *BackupInfo, text string, _ *time.Location) error {
		if !Status(text).Valid() {
			return fmt.Errorf("unknown status %q", text)
		}
		b.Status = Status(text)
		return nil
	}
	return f
}

// literalField holds a string as a Python literal, so that it may have several lines.
func literalField(key string, at func(*BackupInfo) *string) infoField {
	return infoField{
		key: key,
		format: func(b *BackupInfo) (string, error) {
			if s := *at(b); s != "" {
				return pyliteral.Quote(s), nil
			}
			return null, nil
		},
		parse: func(b *BackupInfo, text string, _ *time.Location) error {
			v, err := pyliteral.Parse(text)
			if err != nil {
				return err
			}
			s, ok := v.(string)
			if !ok {
				return fmt.Errorf("want a string in quotes, found %s", text)
			}
			*at(b) = s
			return nil
		},
	}
}

func childrenField(key string) infoField {
	return infoField{
		key: key,
		format: func(b *BackupInfo) (string, error) {
			if len(b.ChildrenIDs) == 0 {
				return null, nil
			}
			return strings.Join(b.ChildrenIDs, ","), nil
		},
		parse: func(b *BackupInfo, text string, _ *time.Location) error {
			b.ChildrenIDs = nil
			for id := range strings.SplitSeq(text, ",") {
				if id = strings.TrimSpace(id); id != "" {
					b.ChildrenIDs = append(b.ChildrenIDs, id)
				}
			}
			return nil
		},
	}
}
