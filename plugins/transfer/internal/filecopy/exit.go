package filecopy

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/toolexec"
)

// Exit codes of rsync (rsync's manual, "EXIT VALUES"), and of ssh.
const (
	exitSyntax      = 1
	exitSelect      = 3
	exitProtocol    = 12
	exitPartial     = 23
	exitVanished    = 24
	exitNotFound    = 127
	exitSSH         = 255
	maxComplaints   = 20
	noSuchFile      = "No such file or directory (2)"
	missingArgsText = "--ignore-missing-args: unknown option"
)

var connectionExits = []int{5, 10, exitProtocol, 30, 35, exitSSH}

var (
	// vanishedAlways are messages about a source that went away, from rsync 3.0 on.
	vanishedAlways = regexp.MustCompile(`^(file|directory) has vanished: "|` +
		`^rsync: (\[sender\] )?read errors mapping ".*": No data available \(61\)$|` +
		`^rsync (error|warning): some files( vanished|/attrs were not transferred)`)
	// vanishedPath are such messages too, unless they name the root of the source. rsync 3.2 and later say which side
	// speaks; what the receiver does not find is never a vanished source.
	vanishedPath = regexp.MustCompile(`^rsync: (\[sender\] )?(link_stat|opendir|readlink_stat\(|send_files failed to open) ?` +
		`"(.*)"\)? failed: No such file or directory \(2\)$|` +
		`^rsync: (\[sender\] )?(send_files failed to open) "(.*)": No such file or directory \(2\)$`)
	quoted = regexp.MustCompile(`"(.*)"`)
)

// verdict reads rsync's standard error while it runs and then decides what an exit code means.
type verdict struct {
	// source is the path that must exist.
	source string
	// complaints are lines about anything else than vanished files, at most maxComplaints.
	complaints  []string
	rootMissing bool
	oldRemote   bool
	full        bool
}

func (v *verdict) line(line string) {
	if strings.Contains(line, missingArgsText) {
		v.oldRemote = true
	}
	if strings.Contains(line, "No space left on device") || strings.Contains(line, "Disk quota exceeded") {
		v.full = true
	}
	if strings.HasSuffix(line, noSuchFile) && v.isRoot(line) {
		v.rootMissing = true
	} else if vanishedAlways.MatchString(line) || vanishedPath.MatchString(line) {
		return
	}
	if len(v.complaints) < maxComplaints {
		v.complaints = append(v.complaints, line)
	}
}

// isRoot tells whether a message is about the source itself, or a directory on the way to it.
func (v *verdict) isRoot(line string) bool {
	m := quoted.FindStringSubmatch(line)
	if m == nil {
		return false
	}
	path := filepath.Clean(unescape(m[1]))
	return path == v.source || (strings.Contains(line, "change_dir") && strings.HasPrefix(v.source, asDirectory(path)))
}

// judge turns the result of a run into nil or a diagnostic. err is what toolexec returned; remote tells that another
// host takes part.
func (v *verdict) judge(err error, label string, remote bool) error {
	var exit *toolexec.ExitError
	switch {
	case err == nil && !v.rootMissing:
		return nil
	case errors.Is(err, toolexec.ErrNotFound):
		return diag.Diagnostic{
			Severity: diag.Error, Summary: "rsync is not installed on the Barman host", Detail: err.Error(), Code: diag.CodeToolMissing,
		}
	case err != nil && !errors.As(err, &exit):
		return err
	case exit != nil && exit.Code == exitPartial && len(v.complaints) == 0:
		return nil
	}
	d := diag.Diagnostic{
		Severity: diag.Error, Summary: fmt.Sprintf("rsync failed to copy %s", label), Code: diag.CodeToolFailed, Retryable: true,
	}
	if exit != nil {
		d.Detail = exit.Error()
		if len(v.complaints) > 0 {
			short := *exit
			short.Stderr = v.complaints
			d.Detail = short.Error()
		}
	}
	switch {
	case v.full:
		d.Summary, d.Code, d.Retryable = fmt.Sprintf("no space left to copy %s", label), diag.CodeNoSpace, false
	case v.rootMissing:
		d.Summary = fmt.Sprintf("source of %s does not exist: %s", label, v.source)
		d.Code, d.Retryable = diag.CodeNotFound, false
	case remote && exit.Code == exitNotFound:
		d.Summary, d.Code, d.Retryable = "rsync is not installed on the other host", diag.CodeToolMissing, false
	case remote && slices.Contains(connectionExits, exit.Code):
		d.Summary, d.Code = fmt.Sprintf("connection lost while copying %s", label), diag.CodeConnectionFailed
	}
	return d
}
