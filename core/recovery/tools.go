package recovery

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/barman-go/barman/core/pattern"
	"github.com/barman-go/barman/sdk/toolexec"
)

// Tool is a program that a restore uses.
type Tool struct {
	Name string
	// There tells that it is wanted on the other host.
	There bool
	// Found tells whether it is there; Version is what it says about itself, empty when it does not say.
	Found   bool
	Version string
}

// need is a program that must be on a host.
type need struct {
	name  string
	there bool
	// ask are the arguments with which it tells its version.
	ask []string
	// minimum is the oldest version that will do; word must be in what the program says about itself.
	minimum, word string
	// what it is called in messages, and what for; advice says what to do when it is missing.
	what, purpose, advice string
	// later is for what is not used before PostgreSQL runs: without it there is only a warning.
	later bool
}

var askVersion = []string{"--version"}

// needs lists the programs on both hosts.
func (p *Plan) needs(o *Options) []need {
	list := []need{{
		name: "rsync", ask: askVersion, minimum: "3.1.0", purpose: "to copy files",
		advice: "Install it, or name its directory in path_prefix.",
	}}
	if !o.remote() {
		return list
	}
	ssh := need{name: o.Remote[0], purpose: "to reach the other host", advice: "Install it, or correct --remote-ssh-command."}
	if filepath.Base(ssh.name) == "ssh" {
		ssh.ask = []string{"-V"}
	}
	list = append(list, ssh, need{
		name: "rsync", there: true, ask: askVersion, minimum: "3.0.0", purpose: "to copy files", advice: "Install it there.",
	})
	if p.Way == UnpackThere {
		const advice = "Install it there, or use --staging-location local."
		list = append(list, need{
			name: "tar", there: true, ask: askVersion, word: "GNU tar", what: "GNU tar", purpose: "to unpack the backup there", advice: advice,
		})
		if p.format.program != "" {
			list = append(list, need{name: p.format.program, there: true, ask: askVersion, purpose: "to unpack the backup there", advice: advice})
		}
	}
	if o.GetWAL {
		list = append(list, need{
			name: "barman-wal-restore", there: true, ask: askVersion, purpose: "to fetch WAL", later: true,
			advice: "Install it there before you start PostgreSQL, or use --no-get-wal.",
		})
	}
	return list
}

// askHere begins to ask this host about what the restore needs of it, and returns what waits for the answer.
func (r *Restorer) askHere(ctx context.Context, o *Options, p *Plan) func() (*hostFacts, error) {
	needs, port := p.needsOn(o, false), 0
	if !o.remote() {
		port = p.Port
	}
	ask := sync.OnceValues(func() (*hostFacts, error) { return r.askFacts(ctx, nil, needs, port) })
	go ask() //nolint:errcheck // the error is for who waits
	return ask
}

// needsOn lists the programs on one of the hosts.
func (p *Plan) needsOn(o *Options, there bool) []need {
	return slices.DeleteFunc(p.needs(o), func(n need) bool { return n.there != there })
}

// checkTools finds out whether both hosts have the programs that the restore uses, and what else a shell can tell about them. here
// is the answer of this one.
func (r *Restorer) checkTools(ctx context.Context, o *Options, p *Plan, here func() (*hostFacts, error)) error {
	if err := r.checkDecoder(ctx, p); err != nil {
		return err
	}
	if err := r.checkCombiner(ctx, p); err != nil {
		return err
	}
	for _, there := range []bool{false, true} {
		if there && (!o.remote() || p.Found == nil) {
			break
		}
		wanted, answer := p.needsOn(o, there), here
		if there {
			answer = func() (*hostFacts, error) { return r.askFacts(ctx, o.Remote, wanted, p.Port) }
		}
		facts, err := answer()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			p.refuse(fmt.Sprintf("Nobody can tell which programs are %s: %v", place(there), err), "The command must run /bin/sh.")
			continue
		}
		p.checkNeeds(wanted, facts)
		if there == o.remote() {
			p.checkHost(facts, there)
		}
	}
	return nil
}

// checkDecoder finds out whether the archives of a tar backup that are unpacked on this host can be decoded.
func (r *Restorer) checkDecoder(ctx context.Context, p *Plan) error {
	for _, member := range p.chain {
		if err := r.checkDecoder(ctx, member); err != nil {
			return err
		}
		p.adopt(member)
	}
	if p.Way == CopyFiles || p.Way == UnpackThere || p.format.codec == "" {
		return nil
	}
	err := r.WAL.CanDecode(ctx, p.format.codec)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	p.decoder(p.format.codec, err)
	if err != nil {
		p.refuse(fmt.Sprintf("Backup %s is compressed with %s, which nothing on this host can decode: %v",
			p.Backup.ID, p.Backup.Compression, err), "Install the compress plugin; barman plugin list shows where it is looked for.")
	}
	return nil
}

// decoder notes a compress plugin among the tools, once.
func (p *Plan) decoder(format string, err error) {
	t := Tool{Name: format, Version: "plugin", Found: err == nil}
	if !slices.Contains(p.Tools, t) {
		p.Tools = append(p.Tools, t)
	}
}

// checkNeeds holds what a host has against what is needed there.
func (p *Plan) checkNeeds(needs []need, facts *hostFacts) {
	for _, n := range needs {
		said, found := facts.tools[n.name]
		version := versionIn(said)
		p.Tools = append(p.Tools, Tool{Name: filepath.Base(n.name), There: n.there, Found: found, Version: version})
		summary := ""
		switch {
		case !found, n.word != "" && !strings.Contains(said, n.word):
			summary = fmt.Sprintf("%s is needed %s %s, and was not found", cmp.Or(n.what, n.name), place(n.there), n.purpose)
		case version != "" && toolexec.Older(version, n.minimum):
			summary = fmt.Sprintf("%s %s %s is too old, %s or later is needed %s", n.name, version, place(n.there), n.minimum, n.purpose)
		default:
			continue
		}
		if n.later {
			p.warn("%s. %s", summary, n.advice)
		} else {
			p.refuse(summary, n.advice)
		}
	}
}

func place(there bool) string {
	if there {
		return "on the other host"
	}
	return "on this host"
}

var versionPattern = pattern.New(`\d+(?:\.\d+)+(?:p\d+)?`)

// versionIn is the first thing in a line that looks like a version.
func versionIn(said string) string { return versionPattern.FindString(said) }
