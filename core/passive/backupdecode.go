package passive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/catalog/pyliteral"
	"github.com/barman-go/barman/core/wal"
)

// The values of an answer that backup.info writes in another form than as text or number.
var decoded = map[string]func(any) (string, error){
	"backup_label":        labelText,
	"children_backup_ids": childrenText,
	"copy_stats":          literalText,
	"included_files":      literalText,
	"snapshots_info":      literalText,
	"tablespaces":         literalText,
}

// decodeBackup turns a backup of an answer into what backup.info would say. The catalog's own reader judges the values, so nothing
// gets through that a backup.info could not hold. Keys that this program does not know are left out.
func decodeBackup(id string, raw json.RawMessage) (*catalog.BackupInfo, error) {
	value, err := parseJSON(raw)
	if err != nil {
		return nil, err
	}
	members, ok := value.(pyliteral.Dict)
	if !ok {
		return nil, errors.New("it is not an object")
	}
	values := map[string]any{}
	for _, m := range members {
		values[m.Key.(string)] = m.Value
	}
	if found, ok := values["backup_id"]; ok && found != id {
		return nil, fmt.Errorf("it calls itself %v", found)
	}
	for _, key := range []string{"begin_time", "end_time"} {
		// It has a zone, and fractions of a second.
		if iso, ok := values[key+"_iso"].(string); ok {
			values[key] = iso
		}
	}
	var text strings.Builder
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if values[key] == nil || !catalog.IsInfoKey(key) {
			continue
		}
		line, err := infoText(key, values[key])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		fmt.Fprintf(&text, "%s=%s\n", key, line)
	}
	b, err := catalog.DecodeInfo(id, []byte(text.String()), time.Local)
	if err != nil {
		return nil, err
	}
	b.Detach()
	return b, checkRemote(b)
}

// infoText is a value as it stands in backup.info.
func infoText(key string, value any) (string, error) {
	convert := decoded[key]
	if convert == nil {
		convert = plainText
	}
	text, err := convert(value)
	if err == nil && strings.ContainsAny(text, "\r\n") {
		err = errors.New("a line break in a value")
	}
	return text, err
}

// checkRemote refuses what would be the part of a path, or could not be restored.
func checkRemote(b *catalog.BackupInfo) error {
	for _, id := range append(slices.Clone(b.ChildrenIDs), b.ParentID) {
		if id != "" && !catalog.ValidID(id) {
			return fmt.Errorf("%q is not a backup id", id)
		}
	}
	if b.ParentID >= b.ID {
		return fmt.Errorf("its parent %s is not older than itself", b.ParentID)
	}
	if !b.Status.In(catalog.Usable...) {
		return fmt.Errorf("its status is %s", b.Status)
	}
	if b.BeginWAL == (wal.Segment{}) || b.EndWAL == (wal.Segment{}) {
		return errors.New("the WAL that it needs is not told")
	}
	return b.SegmentSize.Validate()
}

func plainText(value any) (string, error) {
	switch v := value.(type) {
	case string:
		return v, nil
	case int64:
		return fmt.Sprint(v), nil
	}
	return "", fmt.Errorf("%v is neither text nor a whole number", value)
}

func literalText(value any) (string, error) { return pyliteral.Format(value) }

// labelText takes the label, which arrives as Python's literal of it. A Python passive node has made a literal of the literal, and hands
// that on to whoever copies from it.
func labelText(value any) (string, error) {
	text, ok := value.(string)
	if !ok {
		return "", fmt.Errorf("%v is not a text", value)
	}
	label := text
	for isLiteral(label) {
		v, err := pyliteral.Parse(label)
		if err != nil {
			return "", err
		}
		if label, ok = v.(string); !ok {
			return "", fmt.Errorf("%q is not the literal of a text", text)
		}
	}
	return pyliteral.Quote(label), nil
}

func isLiteral(text string) bool { return text != "" && (text[0] == '\'' || text[0] == '"') }

// childrenText takes the ids of the children. A Python passive node has taken the text for a list of characters and put commas between
// them: 2,0,2,6,0,1,1,1,T,…,,,2,0,…
func childrenText(value any) (string, error) {
	text, ok := value.(string)
	if !ok {
		return "", fmt.Errorf("%v is not a text", value)
	}
	if len(text) > 1 && text[1] == ',' {
		var repaired []byte
		for i := 0; i < len(text); i += 2 {
			repaired = append(repaired, text[i])
		}
		text = string(repaired)
	}
	return text, nil
}

// parseJSON reads a value with the order of its members kept.
func parseJSON(raw []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	v, err := parseValue(dec)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return v, err
}

func parseValue(dec *json.Decoder) (any, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Number:
		if n, err := t.Int64(); err == nil {
			return n, nil
		}
		return t.Float64()
	case json.Delim:
		if t == '[' {
			return parseList(dec)
		}
		return parseDict(dec)
	}
	return token, nil // nil, bool, string
}

func parseList(dec *json.Decoder) (any, error) {
	list := []any{}
	for dec.More() {
		v, err := parseValue(dec)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := dec.Token()
	return list, err
}

func parseDict(dec *json.Decoder) (any, error) {
	dict := pyliteral.Dict{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		v, err := parseValue(dec)
		if err != nil {
			return nil, err
		}
		dict = append(dict, pyliteral.Pair{Key: key, Value: v})
	}
	_, err := dec.Token()
	return dict, err
}
