package toolexec

import "slices"

// Unattended returns a remote command, such as ssh with its arguments, that never waits for a person: it asks for no password, and takes
// the key of a host that is seen for the first time, but refuses one that has changed. What the command itself says about these options
// counts, because ssh takes what it sees first. An empty command stays empty.
func Unattended(remote []string) []string {
	if len(remote) == 0 {
		return nil
	}
	return slices.Concat(remote, []string{"-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=accept-new"})
}
