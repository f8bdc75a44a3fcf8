package recovery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/toolexec"
)

// checkHost says what stands in the way of PostgreSQL on the host that is restored to, as far as its shell knows. All of it can
// be put right after the restore, so these are warnings.
func (p *Plan) checkHost(facts *hostFacts, there bool) {
	p.Owner, p.Installed = facts.user, facts.postgres
	if facts.user == "root" {
		p.warn("The restored files will belong to root: give them to the user who runs PostgreSQL before you start it, "+
			"for example with chown -R postgres %s.", toolexec.ShellWord(p.Destination))
	}
	if p.PortInUse = facts.listening; p.PortInUse {
		p.warn("Something listens on port %d %s, which the restored server will want: change port in its configuration, or start it with -o '-p PORT'.",
			p.Port, place(there))
	}
	if wanted := versionText(p.Backup.Version); len(facts.postgres) > 0 && !p.hasPostgres() {
		p.warn("The backup needs PostgreSQL %s, and %s there is only %s.", wanted, place(there), strings.Join(facts.postgres, ", "))
	}
}

// hasPostgres tells whether the right major version of PostgreSQL was found where the restore goes.
func (p *Plan) hasPostgres() bool {
	wanted := versionText(p.Backup.Version) + "."
	return slices.ContainsFunc(p.Installed, func(v string) bool { return strings.HasPrefix(v, wanted) })
}

// connectionProblem returns the problem that an error is when the other host, or a shell on it, cannot be reached.
func connectionProblem(ctx context.Context, o *Options, err error) *Problem {
	var d diag.Diagnostic
	if ctx.Err() != nil || !o.remote() || !errors.As(err, &d) {
		return nil
	}
	by := "Try it by hand, as the user who runs barman: " + o.RemoteCommand + " true"
	switch d.Code {
	case diag.CodeConnectionFailed, diag.CodeToolMissing:
		return &Problem{
			Summary: fmt.Sprintf("Unable to connect to the target host using the command '%s': %s", o.RemoteCommand, d.Error()), Advice: by,
		}
	case diag.CodeToolFailed:
		return &Problem{
			Summary: fmt.Sprintf("The destination cannot be looked at with the command '%s': %s", o.RemoteCommand, d.Error()), Advice: by,
		}
	}
	return nil
}
