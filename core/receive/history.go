package receive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/wal"
)

// keepHistory fetches the history file of a timeline unless it is here or in the archive. Without it a recovery would not find the
// way to the timeline's WAL, so it comes first.
func (s *session) keepHistory(ctx context.Context, timeline wal.TimelineID) error {
	if timeline == 1 {
		return nil
	}
	name := wal.HistoryName(timeline)
	for _, dir := range []string{s.Dir, s.WALs} {
		_, err := os.Stat(filepath.Join(dir, name))
		if err == nil {
			return nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return final{err}
		}
	}
	sent, text, err := s.conn.TimelineHistory(ctx, timeline)
	if err != nil {
		return err
	}
	if sent != name {
		return fmt.Errorf("the server sent the history file %q for timeline %d", sent, timeline)
	}
	if _, err := wal.ParseHistory(timeline, bytes.NewReader(text)); err != nil {
		return err
	}
	if err := fsx.WriteFile(filepath.Join(s.Dir, name), text, fileMode); err != nil {
		return final{err}
	}
	return nil
}
