package compress

import (
	"fmt"

	"github.com/barman-go/barman/sdk/diag"
)

// PickLevel returns the level to use when level is asked for: 0 for a format without levels, the medium one when level
// is 0 and that is none of the format's levels, and otherwise level itself, if the format has it.
func (f Format) PickLevel(level int) (int, error) {
	l := f.Levels
	switch {
	case l == nil:
		return 0, nil
	case level >= l.Min && level <= l.Max:
		return level, nil
	case level == 0:
		return l.Medium, nil
	}
	return 0, diag.Diagnostic{
		Severity: diag.Error, Code: diag.CodeInvalidOption,
		Summary: fmt.Sprintf("format %q has no level %d", f.ID, level),
		Detail:  fmt.Sprintf("levels are %d to %d", l.Min, l.Max),
	}
}
