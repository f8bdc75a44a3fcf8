package recovery

import (
	"slices"
	"time"

	"github.com/barman-go/barman/core/report"
	"github.com/barman-go/barman/core/wal"
)

// JSON is the plan as data, under "plan". Times carry an offset, sizes are in bytes, and what is not known is null.
func (p *Plan) JSON() map[string]any {
	return map[string]any{"plan": map[string]any{
		"possible": len(p.Problems) == 0, "server": p.Server,
		"backup": p.backupJSON(), "target": p.targetJSON(), "clocks": p.clocksJSON(),
		"timeline": p.timelineJSON(), "wal": p.walJSON(), "destination": p.destinationJSON(), "space": p.spaceJSON(),
		"tools": p.toolsJSON(), "estimate": p.estimateJSON(), "warnings": append([]string{}, p.Warnings...), "problems": p.problemsJSON(),
	}}
}

func (p *Plan) backupJSON() map[string]any {
	b := p.Backup
	doc := map[string]any{
		"backup_id": b.ID, "backup_name": known(b.BackupName), "reason": p.Reason, "mode": string(b.Mode), "status": string(b.Status),
		"postgresql_version": versionText(b.Version), "begin_time": moment(b.BeginTime), "end_time": moment(b.EndTime), "size": nil,
	}
	if p.combines() {
		doc["combined_with"] = p.basedOn()
	}
	if b.Size.Valid {
		doc["size"] = b.Size.N
	}
	return doc
}

func (p *Plan) targetJSON() map[string]any {
	t := p.Target
	return map[string]any{
		"kind": known(string(t.Kind)), "value": known(t.Text), "exclusive": t.Exclusive, "action": known(t.Action),
		"time_zone_assumed": t.ZoneAssumed,
	}
}

func (p *Plan) clocksJSON() []any {
	first, last := p.possible()
	rows := make([]any, 0, len(p.Clocks))
	for _, c := range p.Clocks {
		row := map[string]any{
			"clock": c.Name, "zone": c.Zone.String(), "target": nil, "possible_from": moment(in(first, c.Zone)), "possible_to": moment(in(last, c.Zone)),
		}
		if p.Target.Kind == ToTime {
			row["target"] = moment(in(p.Target.Time, c.Zone))
		}
		rows = append(rows, row)
	}
	return rows
}

func (p *Plan) timelineJSON() map[string]any {
	path := make([]any, 0, len(p.Path))
	for _, span := range p.Path {
		path = append(path, map[string]any{
			"timeline": int(span.Timeline), "begin": span.Begin.String(), "history_file": known(p.history(span.Timeline)),
		})
	}
	return map[string]any{"path": path, "recovery_target_timeline": known(p.TimelineSetting)}
}

func (p *Plan) walJSON() map[string]any {
	w, size := p.WAL, p.Backup.SegmentSize
	missing := make([]any, 0, len(w.Missing))
	for _, g := range w.gaps(size) {
		missing = append(missing, map[string]any{"first": g.first.String(), "last": g.last.String(), "files": g.files})
	}
	doc := map[string]any{
		"begin": w.Begin.String(), "required": w.Required.String(), "available": w.Available.String(), "first": nil, "last": nil,
		"files": len(w.Files), "bytes": int64(len(w.Files)) * int64(size), "missing": missing, "directory": known(p.WALDirectory),
		"newest_transaction": moment(w.Newest),
	}
	if n := len(w.Files); n > 0 {
		doc["first"], doc["last"] = w.Files[0].Name, w.Files[n-1].Name
	}
	return doc
}

func (p *Plan) destinationJSON() map[string]any {
	tablespaces := make([]any, 0, len(p.Tablespaces))
	for _, t := range p.Tablespaces {
		tablespaces = append(tablespaces, map[string]any{"name": t.Name, "oid": t.OID, "location": t.Location, "relocated": t.Relocated})
	}
	doc := map[string]any{
		"directory": p.Destination, "remote_command": known(p.Remote), "state": p.state(), "tablespaces": tablespaces,
		"owner": known(p.Owner), "postgresql_installed": append([]string{}, p.Installed...), "port": nil, "port_in_use": nil,
	}
	if p.Port != 0 {
		doc["port"], doc["port_in_use"] = p.Port, p.PortInUse
	}
	return doc
}

func (p *Plan) spaceJSON() []any {
	rows := make([]any, 0, len(p.Space))
	for _, s := range p.Space {
		row := map[string]any{"directory": s.Directory, "needed": s.Need, "free": nil}
		if s.Free >= 0 {
			row["free"] = s.Free
		}
		rows = append(rows, row)
	}
	return rows
}

func (p *Plan) toolsJSON() []any {
	rows := make([]any, 0, len(p.Tools))
	for _, t := range p.Tools {
		host := "here"
		if t.There {
			host = "there"
		}
		rows = append(rows, map[string]any{"name": t.Name, "host": host, "found": t.Found, "version": known(t.Version)})
	}
	return rows
}

func (p *Plan) estimateJSON() map[string]any {
	e := p.Estimate
	if e.Time == 0 {
		return map[string]any{"seconds": nil, "bytes": e.Bytes, "bytes_per_second": nil}
	}
	return map[string]any{"seconds": e.Time.Seconds(), "bytes": e.Bytes, "bytes_per_second": e.BytesPerSecond}
}

func (p *Plan) problemsJSON() []any {
	rows := make([]any, 0, len(p.Problems))
	for _, problem := range p.Problems {
		rows = append(rows, map[string]any{"summary": problem.Summary, "advice": known(problem.Advice)})
	}
	return rows
}

// history is the name of a timeline's history file when the archive has it, and empty otherwise.
func (p *Plan) history(tli wal.TimelineID) string {
	name := wal.HistoryName(tli)
	if slices.ContainsFunc(p.WAL.Histories, func(f WALFile) bool { return f.Name == name }) {
		return name
	}
	return ""
}

// known is a text, or nil for an empty one.
func known(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// moment is a time, or nil for the zero one.
func moment(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return report.Timestamp(t)
}

func in(t time.Time, zone *time.Location) time.Time {
	if t.IsZero() {
		return t
	}
	return t.In(zone)
}
