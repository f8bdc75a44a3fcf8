package filecopy

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/barman-go/barman/sdk/toolexec"
	"github.com/barman-go/barman/sdk/transfer"
)

// connection returns the options that reach the other host, and none for a local copy.
func connection(plan *transfer.Plan) []string {
	if plan.Direction == transfer.Local {
		return nil
	}
	remote := plan.Remote
	if plan.Direction == transfer.Fetch {
		remote = toolexec.Unattended(remote)
	}
	args := []string{"-e", remoteShell(remote)}
	if plan.NetworkCompression {
		args = append(args, "-z")
	}
	return args
}

// remoteShell writes a command as one string for rsync's -e. rsync splits it at blanks, knows both quotes and no
// backslash, and takes a doubled quote inside quotes for the quote itself (rsync's manual, option --rsh).
func remoteShell(command []string) string {
	words := make([]string, len(command))
	for i, word := range command {
		words[i] = "'" + strings.ReplaceAll(word, "'", "''") + "'"
	}
	return strings.Join(words, " ")
}

// filters returns the item's rules, the first that matches counts. The long form keeps a pattern that begins with "- " or
// "!" from being read as another rule.
func filters(item *transfer.Item) []string {
	var args []string
	for _, p := range item.Include {
		args = append(args, "--filter=+_"+p)
	}
	for _, p := range item.Exclude {
		args = append(args, "--filter=-_"+p)
	}
	for _, p := range item.ExcludeAndProtect {
		args = append(args, "--filter=P_"+p, "--filter=-_"+p)
	}
	return args
}

// copying returns the options of a run that writes files. share is the number of runs that divide the bandwidth.
//
// Links are followed (-L) and kept as directories at the destination (-K), modes and times are kept, owners are not:
// the restoring user owns what is restored. Arguments travel inside the protocol (-s), not through the remote shell.
func copying(plan *transfer.Plan, item *transfer.Item, reuse bool, share int) []string {
	args := []string{"-LKpts", "--stats", "--info=progress2", "--no-human-readable"}
	args = append(args, connection(plan)...)
	if limit := bandwidth(plan, item, share); limit > 0 {
		args = append(args, fmt.Sprintf("--bwlimit=%d", limit))
	}
	switch {
	case reuse && item.Reuse == transfer.ReuseLink:
		// No --inplace: a file that this or an earlier attempt has linked must not be written through.
		args = append(args, "--link-dest="+item.ReuseDirectory)
	case reuse && item.Reuse == transfer.ReuseCopy:
		args = append(args, "--copy-dest="+item.ReuseDirectory, "--inplace")
	default:
		args = append(args, "--inplace")
	}
	if item.DeleteExtra {
		// A directory that stands where a file comes, or the other way round, gives way.
		args = append(args, "--force")
	}
	return args
}

// bandwidth returns the limit of one of share runs in kB/s; 0 means none.
func bandwidth(plan *transfer.Plan, item *transfer.Item, share int) int {
	limit := plan.BandwidthLimit
	if item.BandwidthLimit > 0 {
		limit = item.BandwidthLimit
	}
	if limit <= 0 {
		return 0
	}
	return max(1, limit/max(share, 1))
}

// listing returns the arguments that list the source, one line per file.
func listing(plan *transfer.Plan, item *transfer.Item) []string {
	// -8 keeps bytes above 127 as they are; control characters are escaped in any case.
	args := []string{"-rLs8", "--list-only", "--no-human-readable"}
	if plan.Direction == transfer.Fetch {
		args = append(args, connection(plan)...)
	}
	args = append(args, filters(item)...)
	return append(args, source(plan, item))
}

// source returns the argument that names the item's source.
func source(plan *transfer.Plan, item *transfer.Item) string {
	path := filepath.Clean(item.Source)
	if item.Kind == transfer.Directory {
		path = asDirectory(path)
	}
	if plan.Direction == transfer.Fetch {
		return remotePath(path)
	}
	return path
}

// destination returns the argument that names the item's destination.
func destination(plan *transfer.Plan, item *transfer.Item) string {
	path := filepath.Clean(item.Destination)
	switch {
	case item.Kind == transfer.Directory:
		path = asDirectory(path)
	case filepath.Base(path) == filepath.Base(filepath.Clean(item.Source)):
		// Naming the directory, which is there, keeps rsync from guessing what a name that is not there means.
		path = asDirectory(filepath.Dir(path))
	}
	if plan.Direction == transfer.Put {
		return remotePath(path)
	}
	return path
}

func asDirectory(path string) string { return strings.TrimSuffix(path, "/") + "/" }

// remotePath writes a path of the other host. The host is part of the remote command, so none stands before the colon.
// The remote rsync expands wildcards, and only then takes a backslash for an escape.
func remotePath(path string) string {
	if strings.ContainsAny(path, "*?[") {
		path = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
	}
	return ":" + path
}
