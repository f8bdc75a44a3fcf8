package recovery

import (
	"encoding/json"
)

// hookEvent tells hooks about a restore. Options that were not given are left out of the JSON object, as in Barman.
func hookEvent(p *Plan, o *Options) HookEvent {
	given := map[string]any{}
	texts := map[string]string{
		"recovery_conf_filename": o.ConfFilename, "target_action": o.TargetAction, "target_lsn": o.TargetLSN, "target_name": o.TargetName,
		"target_time": o.TargetTime, "target_tli": o.TargetTimeline, "target_xid": o.TargetXID, "recovery_instance": o.SnapshotInstance,
	}
	for name, text := range texts {
		if text != "" {
			given[name] = text
		}
	}
	for name, on := range map[string]bool{
		"exclusive": o.Exclusive, "standby_mode": o.StandbyMode, "target_immediate": o.TargetImmediate,
	} {
		if on {
			given[name] = true
		}
	}
	if o.OptionPort != 0 {
		given["recovery_option_port"] = o.OptionPort
	}
	// Members are sorted by encoding/json; a map of texts, numbers and booleans cannot fail.
	options, _ := json.Marshal(given)
	tablespaces := map[string]string{}
	for _, t := range p.Tablespaces {
		if t.Relocated {
			tablespaces[t.Name] = t.Location
		}
	}
	return HookEvent{
		Backup: p.Backup, Destination: p.Destination, RemoteCommand: p.Remote, Tablespaces: tablespaces, OptionsJSON: string(options),
	}
}
