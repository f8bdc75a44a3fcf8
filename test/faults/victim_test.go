package faults

import (
	"slices"
	"syscall"
	"testing"
)

// victim is a process of a barman at work.
type victim string

const (
	barman victim = "barman"
	plugin victim = "the plugin"
	tool   victim = "the tool"
)

// find looks for the victim in the family of a barman; the plugin goes by its name.
func (v victim) find(root int, family []process, pluginName string) (process, bool) {
	i := slices.IndexFunc(family, func(p process) bool {
		switch v {
		case barman:
			return p.pid == root
		case plugin:
			return p.name == pluginName
		}
		return slices.Contains([]string{"rsync", "pg_basebackup", "gzip"}, p.name)
	})
	if i < 0 {
		return process{}, false
	}
	return family[i], true
}

// signal is a strike that sends a signal to the victim.
func (v victim) signal(signal syscall.Signal, pluginName string) strike {
	return func(t *testing.T, root int, family []process) bool {
		p, found := v.find(root, family, pluginName)
		if !found || syscall.Kill(p.pid, signal) != nil {
			return false
		}
		t.Logf("%s to %s (%s)", signal, v, p.name)
		return true
	}
}

func (v victim) kill(pluginName string) strike { return v.signal(syscall.SIGKILL, pluginName) }
