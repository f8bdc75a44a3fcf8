package pluginhost

// Installed returns the names of the plugins of a type for which there is an executable anywhere in the search, sorted.
// It starts none and trusts none: that happens when one is used.
func (h *Host) Installed(pluginType string, use Use) []string { return h.installed(pluginType, use) }
