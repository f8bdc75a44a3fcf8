package hook

import (
	"fmt"
	"time"

	sdkhook "github.com/barman-go/barman/sdk/hook"
)

// AbortError means that a pre retry hook ended with ABORT_STOP: the operation must not be done.
type AbortError struct {
	// Hook is "pre_backup_retry_script" and the like.
	Hook string
	// Title is the script's command line.
	Title string
}

// Error is Barman's text, which ends up in backup.info and in BARMAN_ERROR.
func (e *AbortError) Error() string {
	return fmt.Sprintf("Abort '%s' retry hook script (%s, exit code: %d)", e.Hook, e.Title, sdkhook.ExitAbortStop)
}

// OpenError means that the plugin of a pre retry hook could not be started. Since such a hook may guard the operation, the
// operation must not be done.
type OpenError struct {
	// Hook is "pre_backup_retry_script" and the like.
	Hook  string
	Title string
	Err   error
}

// Error names the hook and the reason.
func (e *OpenError) Error() string {
	return fmt.Sprintf("cannot run %s (%s): %v", e.Hook, e.Title, e.Err)
}

// Unwrap returns the reason.
func (e *OpenError) Unwrap() error { return e.Err }

// TimeoutError means that a hook ran longer than it may, and was stopped.
type TimeoutError struct{ Timeout time.Duration }

// Error says how long it might have run.
func (e *TimeoutError) Error() string {
	return fmt.Sprintf("stopped after its timeout of %s", e.Timeout)
}
