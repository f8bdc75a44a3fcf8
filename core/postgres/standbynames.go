package postgres

import "strings"

// splitStandbyNames returns the names of synchronous_standby_names in any of its forms: "a, b", "2 (a, b)",
// "FIRST 2 (a, b)", "ANY 1 (a, b)" (PostgreSQL manual, chapter "Server Configuration"). Quotes around a name are removed.
func splitStandbyNames(value string) []string {
	if open := strings.IndexByte(value, '('); open >= 0 && !strings.Contains(value[:open], `"`) {
		value = strings.TrimSuffix(strings.TrimSpace(value[open+1:]), ")")
	}
	names := []string{}
	for name := range strings.SplitSeq(value, ",") {
		names = append(names, strings.Trim(strings.TrimSpace(name), `"`))
	}
	return names
}
