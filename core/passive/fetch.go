package passive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/report"
	"github.com/barman-go/barman/sdk/toolexec"
)

// Primary is the node that a server is copied from.
type Primary struct {
	Server string
	// Command is primary_ssh_command: program and arguments that reach the host, where a shell reads one more argument.
	Command []string
	// PathPrefix are directories in which the program is looked for before PATH.
	PathPrefix []string
	// Config is the configuration file to name to the barman of the primary; empty for none.
	Config string
	Layout catalog.Layout
	Out    report.Messenger
	Log    hclog.Logger
	Now    func() time.Time
}

// patience keeps ssh from waiting for ever for a host that is gone.
var patience = []string{"-o", "ConnectTimeout=30", "-o", "ServerAliveInterval=15"}

// exitOutOfSync is what sync-info says to a mark that it does not know. Other failures have it, too.
const exitOutOfSync = 1

// Fetch asks the primary for what it has behind a mark, checks the answer and keeps it durably as primary.info. When the primary does
// not know the mark, it is asked for everything. An answer that cannot be used leaves the old primary.info as it is.
func (p *Primary) Fetch(ctx context.Context, known catalog.WALMark) (*Document, error) {
	for _, dir := range p.Layout.Directories() {
		if err := fsx.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	if _, err := fsx.Sweep(p.Layout.Backup, fsx.OwnerDead); err != nil {
		p.Log.Warn("cannot remove temporary files", "dir", p.Layout.Backup, "error", err)
	}
	doc, err := p.fetchOnce(ctx, known)
	var exit *toolexec.ExitError
	if known.Name != "" && errors.As(err, &exit) && exit.Code == exitOutOfSync {
		p.Log.Info("sync-info", "server", p.Server, "error", err)
		p.Out.Warning("sync-info is out of sync. Self-recovery procedure started: requesting full synchronisation from primary server %s", p.Server)
		known = catalog.WALMark{}
		doc, err = p.fetchOnce(ctx, known)
	}
	if err != nil {
		return nil, err
	}
	return doc, p.noteFetched(known.Name == "")
}

// fetchOnce is one call. The answer goes to a temporary file, is read from there, and takes the name when it is sound.
func (p *Primary) fetchOnce(ctx context.Context, known catalog.WALMark) (_ *Document, err error) {
	path := p.Layout.PrimaryInfoPath()
	temp, err := fsx.CreateTemp(path, 0o644)
	if err != nil {
		return nil, fmt.Errorf("Cannot open primary.info file for server %s: %w", p.Server, err)
	}
	published := false
	defer func() {
		err = errors.Join(err, temp.Close())
		if !published {
			err = errors.Join(err, os.Remove(temp.Name()))
		}
	}()
	if err := p.ask(ctx, known, temp); err != nil {
		return nil, err
	}
	if _, err := temp.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	doc, err := ReadDocument(temp, nil)
	if err == nil && doc.Config.Name != "" && doc.Config.Name != p.Server {
		err = fmt.Errorf("it is about server %q", doc.Config.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("sync-info of the primary server %s: %w", p.Server, err)
	}
	if err := fsx.Sync(temp); err != nil {
		return nil, err
	}
	published = true // or nearly: see fsx.Publish
	return doc, fsx.Publish(temp.Name(), path)
}

func (p *Primary) ask(ctx context.Context, known catalog.WALMark, answer io.Writer) error {
	if len(p.Command) == 0 {
		return fmt.Errorf("primary_ssh_command of server %s is empty", p.Server)
	}
	var said []string
	_, err := toolexec.Run(ctx, toolexec.Command{
		Name: p.Command[0], Args: slices.Concat(toolexec.Unattended(p.Command)[1:], patience, []string{p.remoteLine(known)}), PathPrefix: p.PathPrefix,
		Stdout: answer, OnStderr: func(line string) {
			if len(said) < 20 {
				said = append(said, line)
			}
		},
	})
	if err == nil || ctx.Err() != nil {
		return err
	}
	text := strings.TrimSpace(strings.Join(said, "\n"))
	if text == "" {
		return fmt.Errorf("sync-info execution on remote primary server %s failed: %w", p.Server, err)
	}
	return &failedError{text: fmt.Sprintf("sync-info execution on remote primary server %s failed: %s", p.Server, text), err: err}
}

// failedError has Barman's words for people and the exit code for the program.
type failedError struct {
	text string
	err  error
}

func (e *failedError) Error() string { return e.text }
func (e *failedError) Unwrap() error { return e.err }

// remoteLine is what the primary's shell reads. Position 0 is left out: Barman's sync-info refuses it.
func (p *Primary) remoteLine(known catalog.WALMark) string {
	words := []string{"barman"}
	if p.Config != "" {
		words = append(words, "-c", toolexec.ShellWord(p.Config))
	}
	words = append(words, "sync-info", toolexec.ShellWord(p.Server))
	if known.Name != "" {
		words = append(words, toolexec.ShellWord(known.Name))
		if known.Position > 0 {
			words = append(words, strconv.FormatInt(known.Position, 10))
		}
	}
	return strings.Join(words, " ")
}

// Stored reads primary.info. The error is fs.ErrNotExist when the primary was never asked.
func (p *Primary) Stored(each func(catalog.WALRecord) error) (*Document, error) {
	f, err := os.Open(p.Layout.PrimaryInfoPath())
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	doc, err := ReadDocument(f, each)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; run 'barman sync-info --primary %s'", f.Name(), err, p.Server)
	}
	return doc, nil
}

// Mark is what sync-wals.info says: how far WAL has been copied. It is zero when nothing was, and when the file is damaged: then
// everything is asked for anew, which costs time and no data.
func (p *Primary) Mark() (catalog.WALMark, error) {
	text, err := os.ReadFile(p.Layout.SyncWALsInfoPath())
	if errors.Is(err, fs.ErrNotExist) {
		return catalog.WALMark{}, nil
	}
	if err != nil {
		return catalog.WALMark{}, err
	}
	mark, ok := parseMark(string(text))
	if !ok {
		p.Log.Warn("file is damaged, everything is asked for", "file", p.Layout.SyncWALsInfoPath())
	}
	return mark, nil
}

func parseMark(text string) (catalog.WALMark, bool) {
	name, position, found := strings.Cut(strings.TrimRight(text, "\n"), "\t")
	n, err := strconv.ParseInt(position, 10, 64)
	switch {
	case !found || err != nil || n < 0:
		return catalog.WALMark{}, false
	case name == "":
		return catalog.WALMark{}, true // the primary had nothing yet
	case !isWALName(name):
		return catalog.WALMark{}, false
	}
	return catalog.WALMark{Name: name, Position: n}, true
}

// setMark records durably how far WAL has been copied, as Barman does: one line without a line break.
func (p *Primary) setMark(mark catalog.WALMark) error {
	text := fmt.Sprintf("%s\t%d", mark.Name, mark.Position)
	return fsx.WriteFile(p.Layout.SyncWALsInfoPath(), []byte(text), 0o644)
}
