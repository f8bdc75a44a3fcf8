package recovery

import (
	"fmt"
	"strings"
	"time"

	"github.com/barman-go/barman/core/report"
)

// The plan is laid out for a terminal of 80 columns: a label, and what there is to say about it.
const (
	planWidth  = 80
	labelWidth = 12
)

// planText writes the plan.
type planText struct {
	out *report.Printer
	p   *Plan
}

// Console shows what would be restored, from what, to where, what is wrong, and what to do about it. The verdict comes last,
// where the eye is when the command ends.
func (p *Plan) Console(out *report.Printer) {
	t := planText{out, p}
	t.out.Line("Plan for a restore of server %s: nothing has been restored", p.Server)
	t.out.Line("")
	for _, part := range []func(){t.backup, t.target, t.clocks, t.way, t.wal, t.destination, t.space, t.hosts, t.time} {
		part()
	}
	t.findings()
}

// row writes a label and lines that belong to it, each broken where it is too long.
func (t planText) row(label string, lines ...string) {
	for _, line := range lines {
		if line == "" {
			continue
		}
		for _, part := range wrap(line, planWidth-labelWidth) {
			t.out.Line("%s", strings.TrimRight(fmt.Sprintf("%-*s%s", labelWidth, label, part), " "))
			label = ""
		}
	}
}

func (t planText) backup() {
	b := t.p.Backup
	head := b.ID
	if b.BackupName != "" {
		head += fmt.Sprintf(" %q", b.BackupName)
	}
	head += fmt.Sprintf(", PostgreSQL %s, %s", versionText(b.Version), b.Mode)
	if b.Size.Valid {
		head += ", " + report.Size(b.Size.N)
	}
	based := ""
	if t.p.combines() {
		based = "incremental, combined with " + strings.Join(t.p.basedOn(), ", ")
	}
	t.row("Backup", head, based, t.p.Reason, "taken from "+report.Timestamp(b.BeginTime), "        to "+report.Timestamp(b.EndTime))
}

// basedOn names the backups that an incremental one needs.
func (p *Plan) basedOn() []string {
	ids := []string{}
	for _, member := range p.chain[:max(len(p.chain)-1, 0)] {
		ids = append(ids, member.Backup.ID)
	}
	return ids
}

func (t planText) target() {
	target := t.p.Target
	text := map[Kind]string{
		ToEnd: "the end of the WAL", ToTime: "time " + target.Text, ToXID: "transaction " + target.Text, ToLSN: "LSN " + target.Text,
		ToName: fmt.Sprintf("restore point %q", target.Text), ToImmediate: "the end of the backup",
	}[target.Kind]
	switch target.Kind {
	case ToTime, ToXID, ToLSN:
		if target.Exclusive {
			text += ", exclusive"
		}
	}
	action := ""
	if target.Action != "" {
		action = "when it is reached: " + target.Action
	}
	t.row("Target", text, action)
}

// clockLayout leaves out fractions of a second: the table has to fit.
const clockLayout = "2006-01-02 15:04:05-07"

// clocks shows the target and what can be reached, as the clocks of everybody who may have named the time show it.
func (t planText) clocks() {
	first, last := t.p.possible()
	if first.IsZero() {
		return
	}
	moments, heads := []time.Time{first, last}, []string{"possible from", "to"}
	if t.p.Target.Kind == ToTime {
		moments, heads = append([]time.Time{t.p.Target.Time}, moments...), append([]string{"target"}, heads...)
	}
	line := func(label string, cells []string) {
		text := fmt.Sprintf("%-*s", labelWidth, label)
		for _, cell := range cells {
			text += fmt.Sprintf("%-*s", len(clockLayout)+1, cell)
		}
		t.out.Line("%s", strings.TrimRight(text, " "))
	}
	line("Clocks", heads)
	for _, clock := range t.p.Clocks {
		var cells []string
		for _, moment := range moments {
			text := "unknown"
			if !moment.IsZero() {
				text = moment.In(clock.Zone).Format(clockLayout)
			}
			cells = append(cells, text)
		}
		line("  "+clock.Name, cells)
	}
}

// possible is from when to when targets can be reached, in whole seconds inside of it. Each is zero when unknown.
func (p *Plan) possible() (first, last time.Time) {
	if !p.Backup.EndTime.IsZero() {
		first = p.Backup.EndTime.Add(time.Second - time.Nanosecond).Truncate(time.Second)
	}
	if !p.WAL.Newest.IsZero() {
		last = p.WAL.Newest.Truncate(time.Second)
	}
	return first, last
}

func (t planText) way() {
	if len(t.p.Path) == 0 {
		return
	}
	var parts []string
	for i, span := range t.p.Path {
		part := fmt.Sprintf("%d", span.Timeline)
		if i > 0 {
			part = fmt.Sprintf("then %d from %s on", span.Timeline, span.Begin)
		}
		if name := t.p.history(span.Timeline); name != "" {
			part += " (" + name + ")"
		}
		parts = append(parts, part)
	}
	setting := ""
	if t.p.TimelineSetting != "" {
		setting = "recovery_target_timeline = " + t.p.TimelineSetting
	}
	t.row("Timeline", strings.Join(parts, ", "), setting)
}

func (t planText) wal() {
	w, size := t.p.WAL, t.p.Backup.SegmentSize
	if w.Begin == 0 {
		return
	}
	var lines []string
	if n := len(w.Files); n > 0 {
		lines = append(lines, w.Files[0].Name+" to "+w.Files[n-1].Name)
		where := "copied to " + t.p.WALDirectory
		if t.p.WALDirectory == "" {
			where = "fetched by restore_command (get-wal)"
		}
		lines = append(lines, fmt.Sprintf("%d %s, %s, %s", n, plural(n, "file", "files"), report.Size(int64(n)*int64(size)), where))
	}
	lines = append(lines, fmt.Sprintf("needed from %s to %s, archived up to %s", w.Begin, w.Required, w.Available))
	t.row("WAL", lines...)
	for i, gap := range w.gaps(size) {
		text := gap.first.String()
		if gap.files > 1 {
			text = fmt.Sprintf("%s to %s, %d files", gap.first, gap.last, gap.files)
		}
		t.row(map[bool]string{true: "  MISSING"}[i == 0], text)
	}
}

func (t planText) destination() {
	where := "on this host"
	if t.p.Remote != "" {
		where = "on another host: " + t.p.Remote
	}
	t.row("Destination", t.p.Destination, where, t.p.state())
	for i, space := range t.p.Tablespaces {
		text := space.Name + " -> " + space.Location
		if !space.Relocated {
			text += " (as it was)"
		}
		t.row(map[bool]string{true: "Tablespaces"}[i == 0], text)
	}
}

// state says what is in the destination now.
func (p *Plan) state() string {
	if p.Found == nil {
		return "not looked at"
	}
	place := p.Found.Places[p.Destination]
	switch {
	case p.Resumed:
		return "an interrupted restore of this backup, which is continued"
	case !place.Exists:
		return "does not exist yet"
	case !place.HasEntries:
		return "empty"
	case p.Delta:
		return "has content, of which only what differs is replaced"
	}
	return "has content"
}

func (t planText) space() {
	if t.p.Found != nil && (t.p.Delta || t.p.Resumed) {
		t.row("Space", "not measured: part of it is there already")
		return
	}
	for i, s := range t.p.Space {
		free := "unknown"
		if s.Free >= 0 {
			free = report.Size(s.Free)
		}
		t.row(map[bool]string{true: "Space"}[i == 0], fmt.Sprintf("%10s needed, %10s free  %s", report.Size(s.Need), free, s.Directory))
	}
}

func (t planText) hosts() {
	for _, there := range []bool{false, true} {
		var names []string
		for _, tool := range t.p.Tools {
			switch {
			case tool.There != there:
			case !tool.Found:
				names = append(names, tool.Name+" MISSING")
			default:
				names = append(names, strings.TrimSpace(tool.Name+" "+tool.Version))
			}
		}
		if len(names) > 0 {
			t.row(map[bool]string{false: "Tools here", true: "Tools there"}[there], strings.Join(names, ", "))
		}
	}
	wanted := versionText(t.p.Backup.Version)
	switch {
	case t.p.Owner == "":
	case len(t.p.Installed) == 0:
		t.row("PostgreSQL", wanted+" is needed to start it; none was found where the restore goes")
	default:
		t.row("PostgreSQL", wanted+" is needed to start it; found: "+strings.Join(t.p.Installed, ", "))
	}
	if t.p.Owner != "" {
		t.row("Owner", t.p.Owner)
	}
	if t.p.Port != 0 {
		state := ""
		if t.p.PortInUse {
			state = ", IN USE"
		}
		t.row("Port", fmt.Sprintf("%d%s", t.p.Port, state))
	}
}

func (t planText) time() {
	e := t.p.Estimate
	if e.Time == 0 {
		t.row("Time", "cannot be estimated")
		return
	}
	by := "the rate at which backup " + e.Backup + " was taken"
	if e.Backup == "" {
		by = "the bandwidth limit"
	}
	what := "to copy "
	if e.AtMost {
		what = "to copy what looks different, at most "
	}
	t.row("Time", fmt.Sprintf("%s %s%s, an estimate from %s (%s/s); what PostgreSQL takes to replay WAL comes on top",
		about(e.Time), what, report.Size(e.Bytes), by, report.SizeFloat(e.BytesPerSecond)))
}

func (t planText) findings() {
	for _, w := range t.p.Warnings {
		t.out.Line("")
		t.row("Warning", w)
	}
	for _, problem := range t.p.Problems {
		t.out.Line("")
		t.row("PROBLEM", strings.Split(problem.Summary, "\n")...)
		t.row("  to do", strings.Split(problem.Advice, "\n")...)
	}
	t.out.Line("")
	n := len(t.p.Problems)
	if n == 0 {
		t.out.Line("%s  The restore can start: run the same command without --plan.", t.out.State(true))
		return
	}
	t.out.Line("%s  The restore cannot start: %d %s, see above.", t.out.State(false), n, plural(n, "problem", "problems"))
}
