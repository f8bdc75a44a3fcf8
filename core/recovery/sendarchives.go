package recovery

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/barman-go/barman/sdk/toolexec"
)

// remoteShell is the command for the other host: one word after the remote command, which its login shell takes apart; the
// rest is done by a POSIX shell. Messages are in English, because they are read.
func remoteShell(script string) string {
	return "/bin/sh -c " + toolexec.ShellWord("LC_ALL=C; export LC_ALL; "+script)
}

// tarCommand is the command that unpacks an archive from its standard input. Owners are those of other files that are
// restored: the user's. Names that lead out of the directory are refused by GNU tar itself.
func tarCommand(format tarFormat, a Archive) string {
	args := []string{"exec", "tar", "--extract", "--file=-", "--verbose", "--directory=" + a.Directory, "--no-same-owner", "--preserve-permissions"}
	if format.program != "" {
		args = append(args, "--use-compress-program="+format.program)
	}
	if a.base() {
		args = append(args, "--anchored", "--wildcards", "--no-wildcards-match-slash")
		for _, pattern := range unpackedExclude {
			args = append(args, "--exclude="+strings.TrimPrefix(pattern, "/"))
		}
		args = append(args, "--transform=s,^"+controlFile+"$,"+pendingControl+",")
	}
	for i := range args {
		args[i] = toolexec.ShellWord(args[i])
	}
	return remoteShell(strings.Join(args, " "))
}

// sendArchives has the other host unpack the archives, several at a time, the largest first. They travel compressed.
func (r *restore) sendArchives(ctx context.Context) error {
	var total int64
	for _, a := range r.plan.Archives {
		total += a.Bytes
	}
	meter := &unpackMeter{rep: r.Progress, total: content{bytes: total}, label: "sending archives"}
	limit := newPace(r.options.BandwidthLimit)
	r.sent = &sentNames{}
	group, sending := errgroup.WithContext(ctx)
	group.SetLimit(max(r.options.Workers, 1))
	for _, a := range slices.SortedFunc(slices.Values(r.plan.Archives), func(a, b Archive) int { return cmp.Compare(b.Bytes, a.Bytes) }) {
		group.Go(func() error {
			if err := r.sendWithRetries(sending, a, limit, meter); err != nil {
				return fmt.Errorf("%s: %w", a.Path, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return r.wantUnpacked(ctx)
}

// sendWithRetries sends an archive again, from its beginning, when it failed.
func (r *restore) sendWithRetries(ctx context.Context, a Archive, limit *pace, meter *unpackMeter) error {
	for attempt := 0; ; attempt++ {
		sent, err := r.sendArchive(ctx, a, limit, meter)
		if err == nil || ctx.Err() != nil || attempt >= r.options.Retry.Times {
			return err
		}
		meter.add(-sent, 0)
		r.Log.Warn("unpacking on the other host failed and is tried again", "archive", a.Path, "attempt", attempt+1,
			"of", r.options.Retry.Times+1, "sleep", r.options.Retry.Sleep, "error", err)
		timer := time.NewTimer(r.options.Retry.Sleep)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
}

func (r *restore) sendArchive(ctx context.Context, a Archive, limit *pace, meter *unpackMeter) (int64, error) {
	f, err := os.Open(a.Path)
	if err != nil {
		return 0, err
	}
	defer f.Close() //nolint:errcheck // only read
	// Atomic, because what feeds a tool that has ended may come to its end a little later.
	var sent atomic.Int64
	in := &reporting{r: limit.reader(ctx, f), read: func(n int64) {
		sent.Add(n)
		meter.add(n, 0)
	}}
	_, err = toolexec.Run(ctx, toolexec.Command{
		Name: r.options.Remote[0], Args: append(slices.Clone(r.options.Remote[1:]), tarCommand(r.plan.format, a)),
		PathPrefix: r.PathPrefix, Stdin: in, Stdout: r.sent.writer(a),
	})
	return sent.Load(), err
}

// reporting tells what is read.
type reporting struct {
	r    io.Reader
	read func(int64)
}

func (r *reporting) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.read(int64(n))
	return n, err
}

// wantUnpacked looks for what the data directory must have got.
func (r *restore) wantUnpacked(ctx context.Context) error {
	var paths []string
	for _, name := range []string{"backup_label", pendingControl} {
		paths = append(paths, filepath.Join(r.plan.Destination, name))
	}
	found, err := r.copier.Stat(ctx, r.options.Remote, paths)
	if err != nil {
		return err
	}
	for _, f := range found {
		if !f.Exists {
			return fmt.Errorf("the archive has no %s", strings.TrimPrefix(f.Path, r.plan.Destination+"/"))
		}
	}
	return nil
}

// sentNames are the configuration files that the data directory has got, for directories that settings include: nobody
// can list those on the other host.
type sentNames struct {
	mu    sync.Mutex
	confs map[string]bool
}

// below lists the configuration files of a directory.
func (s *sentNames) below(dir string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name := range s.confs {
		if path.Dir(name) == dir {
			names = append(names, path.Base(name))
		}
	}
	slices.Sort(names)
	return names
}

// writer takes what tar says: the name of every member.
func (s *sentNames) writer(a Archive) io.Writer {
	if !a.base() {
		return io.Discard
	}
	return &nameLines{take: func(name string) {
		if strings.HasSuffix(name, ".conf") {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.confs == nil {
				s.confs = map[string]bool{}
			}
			s.confs[path.Clean(name)] = true
		}
	}}
}

// nameLines splits output into lines.
type nameLines struct {
	rest []byte
	take func(string)
}

func (l *nameLines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		line, rest, found := bytes.Cut(l.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		l.take(string(line))
		l.rest = rest
	}
}
