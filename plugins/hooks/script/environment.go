package main

import (
	"os"
	"strings"
)

// environment is that of the request over this process's own, in the form "NAME=value". The directories of path lead
// whichever PATH results.
func environment(request map[string]string, path []string) []string {
	vars := map[string]string{}
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		// What host and plugin told each other is nothing for a script.
		if !strings.HasPrefix(name, "BARMAN_PLUGIN_") {
			vars[name] = value
		}
	}
	for name, value := range request {
		vars[name] = value
	}
	if len(path) > 0 {
		prefix := strings.Join(path, ":")
		if vars["PATH"] != "" {
			prefix += ":" + vars["PATH"]
		}
		vars["PATH"] = prefix
	}
	out := make([]string, 0, len(vars))
	for name, value := range vars {
		out = append(out, name+"="+value)
	}
	return out
}
