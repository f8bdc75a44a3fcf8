// Package conformance runs the kit of sdk/plugintest over every bundled plugin.
package conformance
