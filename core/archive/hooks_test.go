package archive_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/core/archive"
	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/hook"
	sdkhook "github.com/barman-go/barman/sdk/hook"
)

// scripts runs the hooks of package hook, in its order, and records what each of them sees.
type scripts struct {
	set   *hook.Set
	trace []string
	// answer, if not nil, decides how a hook ends; nil means success.
	answer func(ev sdkhook.Event) sdkhook.Outcome
	events []sdkhook.Event
}

func newScripts() *scripts {
	s := &scripts{}
	all := hook.Scripts(func(option string) string { return option }, func(string) hook.Opener {
		return func(context.Context) (hook.Runner, error) { return s, nil }
	})
	s.set = hook.NewSet(hook.Options{Server: "main"}, all)
	return s
}

func (s *scripts) Run(_ context.Context, ev sdkhook.Event, _ sdkhook.Output) (sdkhook.Result, error) {
	s.trace = append(s.trace, ev.Environment["BARMAN_HOOK"]+" "+ev.Phase+" "+ev.WAL.Name)
	s.events = append(s.events, ev)
	if s.answer != nil {
		if outcome := s.answer(ev); outcome != sdkhook.Success {
			return sdkhook.Result{Outcome: outcome, ExitCode: 63}, nil
		}
	}
	return sdkhook.Result{Outcome: sdkhook.Success}, nil
}

func (*scripts) Empty() bool { return false }

func (s *scripts) Pre(ctx context.Context, seg archive.Segment) error {
	return s.set.Pre(ctx, hook.ArchiveEvent(describe(seg)))
}

func (s *scripts) Post(ctx context.Context, seg archive.Segment) {
	s.set.Post(ctx, hook.ArchiveEvent(describe(seg)))
}

func describe(seg archive.Segment) hook.WAL {
	w := hook.WAL{
		Name: seg.Name.String(), File: seg.Path, Size: seg.Size, Timestamp: catalog.Seconds(seg.Time), Compression: seg.Compression,
	}
	if seg.Err != nil {
		w.Error = seg.Err.Error()
	}
	return w
}

func four(name string) []string {
	return []string{
		"archive_script pre " + name, "archive_retry_script pre " + name,
		"archive_retry_script post " + name, "archive_script post " + name,
	}
}

func TestArchiveHooksOfEachFileComeTogether(t *testing.T) {
	s := newSite(t)
	content := segment(t, seg1, mib, 1)
	s.deliver(seg1, content)
	s.deliver(seg2, segment(t, seg2, mib, 1))
	s.deliver("junk", nil)
	h := newScripts()
	a := s.archiver("gzip")
	a.Hooks = h
	sum := s.run(a, s.incoming())
	if want := (archive.Summary{Archived: 2, Junk: 1}); sum != want {
		t.Errorf("summary %+v, want %+v", sum, want)
	}
	if diff := cmp.Diff(append(four(seg1), four(seg2)...), h.trace); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
	info, err := os.Stat(s.archived(seg1))
	check(t, err)
	when := catalog.Seconds(info.ModTime())
	want := []sdkhook.WAL{
		{Name: seg1, File: filepath.Join(s.layout.Incoming, seg1), Size: mib, Timestamp: when},
		{Name: seg1, File: s.archived(seg1), Size: info.Size(), Timestamp: when, Compression: "gzip"},
	}
	if diff := cmp.Diff(want, []sdkhook.WAL{*h.events[0].WAL, *h.events[3].WAL}); diff != "" {
		t.Errorf("what hooks see (-want +got):\n%s", diff)
	}
}

func TestArchiveHooksOfDuplicatesAndRejects(t *testing.T) {
	s := newSite(t)
	content := segment(t, seg1, mib, 1)
	for _, name := range []string{seg1, seg2} {
		s.put(s.archived(name), segment(t, name, mib, 1))
	}
	s.deliver(seg1, gzipped(t, content, 1))
	s.deliver(seg2, segment(t, seg2, mib, 2))
	s.deliver(seg3, content)
	h := newScripts()
	a := s.archiver("gzip")
	a.Hooks = h
	if sum := s.run(a, s.incoming()); sum != (archive.Summary{Identical: 1, Rejected: 2}) {
		t.Errorf("summary %+v", sum)
	}
	want := append(append(four(seg1), four(seg2)...), four(seg3)...)
	if diff := cmp.Diff(want, h.trace); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
	identical, other, invalid := h.events[3].WAL, h.events[7].WAL, h.events[11].WAL
	if identical.Compression != "gzip" || identical.Error != "" {
		t.Errorf("after an identical duplicate: %+v", identical)
	}
	if !strings.Contains(other.Error, "already present") || !strings.Contains(invalid.Error, "content and name") {
		t.Errorf("errors are %q and %q", other.Error, invalid.Error)
	}
}

func TestArchiveHookThatAborts(t *testing.T) {
	s := newSite(t)
	s.deliver(seg1, segment(t, seg1, mib, 1))
	s.deliver(seg2, segment(t, seg2, mib, 1))
	s.deliver(seg3, segment(t, seg3, mib, 1))
	s.deliver("junk", nil)
	h := newScripts()
	h.answer = func(ev sdkhook.Event) sdkhook.Outcome {
		if ev.Retry && ev.Phase == sdkhook.PhasePre && ev.WAL.Name == seg2 {
			return sdkhook.AbortStop
		}
		return sdkhook.Success
	}
	a := s.archiver("gzip")
	a.Hooks = h
	if sum := s.run(a, s.incoming()); sum != (archive.Summary{Archived: 1, Stopped: true}) {
		t.Errorf("summary %+v, want one archived and stopped", sum)
	}
	if diff := cmp.Diff(append(four(seg1), four(seg2)...), h.trace); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
	const abort = "Abort 'pre_archive_retry_script' retry hook script (pre_archive_retry_script, exit code: 63)"
	if got := h.events[7].WAL.Error; got != abort {
		t.Errorf("BARMAN_ERROR of the post hooks is %q, want %q", got, abort)
	}
	if !strings.Contains(s.log.String(), "Archiving of main/"+seg2+" aborted by pre_archive_retry_script. Reason: "+abort) {
		t.Errorf("the log does not say why:\n%s", s.log)
	}
	s.wantTree(s.layout.Incoming, seg2, seg3, "junk")
}

func TestArchiveHooksAreToldWhenFilingFails(t *testing.T) {
	s := newSite(t)
	s.faults = map[string]any{"fault": "refuse-later"}
	s.deliver(seg1, segment(t, seg1, mib, 1))
	h := newScripts()
	a := s.archiver("fault")
	a.Hooks = h
	if _, err := a.Run(t.Context(), s.incoming()); err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(four(seg1), h.trace); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
	if got := h.events[3].WAL; !strings.Contains(got.Error, "the disk is full") || got.File != filepath.Join(s.layout.Incoming, seg1) {
		t.Errorf("post hooks see %+v", got)
	}
	s.wantTree(s.layout.Incoming, seg1)
	s.wantNoTemps()
}

func TestArchiveHookInterrupted(t *testing.T) {
	s := newSite(t)
	s.deliver(seg1, segment(t, seg1, mib, 1))
	ctx, cancel := context.WithCancel(t.Context())
	h := newScripts()
	h.answer = func(sdkhook.Event) sdkhook.Outcome { cancel(); return sdkhook.Failure }
	a := s.archiver("gzip")
	a.Hooks = h
	sum, err := a.Run(ctx, s.incoming())
	if !errors.Is(err, context.Canceled) || sum.Stopped {
		t.Errorf("summary %+v, error %v: an interrupt is not a hook's abort", sum, err)
	}
	s.wantTree(s.layout.Incoming, seg1)
}
