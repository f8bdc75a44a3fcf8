package plugin

import (
	"os"
	"path/filepath"
	"slices"
)

// CalledAs returns the one of names under which this executable was started, and the first of them when its file name is
// none of theirs. It lets one executable be several plugins of a type, as a distribution packages them: links such as
// barman-compress-pigz → barman-compress-gzip.
//
//	plugin.Serve(plugin.Definition{Name: plugin.CalledAs(plugin.TypeCompress, "gzip", "pigz"), …})
func CalledAs(pluginType string, names ...string) string {
	return calledAs(os.Args[0], pluginType, names)
}

func calledAs(program, pluginType string, names []string) string {
	file := filepath.Base(program)
	i := slices.IndexFunc(names, func(name string) bool { return file == ExecutableName(pluginType, name) })
	return names[max(i, 0)]
}
