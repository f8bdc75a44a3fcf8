package passive

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/wal"
)

// stateName is a file of this program's own in the server's directory; Python Barman does not look at it.
const stateName = ".passive.json"

// wholeEvery is how often the primary is asked for all of its WAL files instead of those behind the mark. An answer from the mark on
// leaves out what the primary archived late, under a name that comes before the mark's.
const wholeEvery = time.Hour

// state is what this node remembers besides the files that Barman knows.
type state struct {
	// Whole tells that primary.info lists all WAL files.
	Whole bool `json:"whole"`
	// Complete is when WAL was last copied from a list of all files, zero if never or if one was wanted since.
	Complete time.Time `json:"complete"`
}

func (p *Primary) statePath() string { return filepath.Join(p.Layout.Backup, stateName) }

// readState is the zero state when there is none: then everything is asked for.
func (p *Primary) readState() (state, error) {
	var s state
	text, err := os.ReadFile(p.statePath())
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return state{}, nil //nolint:nilerr // as if there were none
	}
	return s, nil
}

func (p *Primary) changeState(change func(*state)) error {
	s, err := p.readState()
	if err != nil {
		return err
	}
	before := s
	if change(&s); s == before {
		return nil
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return fsx.WriteFile(p.statePath(), append(text, '\n'), 0o644)
}

func (p *Primary) noteFetched(whole bool) error {
	return p.changeState(func(s *state) { s.Whole = whole })
}

func isWALName(name string) bool { return wal.IsFileName(name) }

// NextMark is what to ask the primary with: the mark of sync-wals.info, or the zero mark when everything is to be asked for. That is so
// at first, now and then, and while a backup here waits for WAL that the primary must have.
func (p *Primary) NextMark(list *catalog.Backups) (catalog.WALMark, error) {
	s, err := p.readState()
	if err != nil {
		return catalog.WALMark{}, err
	}
	age := p.Now().Sub(s.Complete)
	if age < 0 || age > wholeEvery || list.First(catalog.StatusWaitingForWALs) != nil {
		return catalog.WALMark{}, nil
	}
	return p.Mark()
}
