// Package examples holds plugins to copy: compress-plugin, a compressor in Go with a go.mod of its own, and hook-python, a
// hook in Python. The tests build them as their READMEs say and use them as Barman does.
package examples
