package hook

import (
	"context"
	"time"

	sdkhook "github.com/barman-go/barman/sdk/hook"
)

// Hook is one hook as configured.
type Hook struct {
	// Event is one of the Event… constants of the SDK, Phase one of its Phase… constants.
	Event, Phase string
	// Retry hooks are repeated until they succeed or abort.
	Retry bool
	// Timeout limits each run of the hook, the start of its plugin included; 0 means no limit, as for Barman's scripts. What
	// runs longer is stopped, with everything that it started, and has failed.
	Timeout time.Duration
	// Title names the hook in messages: the command line of a script, the plugin's name of another hook.
	Title string
	// InheritEnvironment gives the hook the whole environment of this process, as Barman gives it to scripts. Hooks of
	// other plugins get the BARMAN_* variables only.
	InheritEnvironment bool
	// Open returns the plugin's client. It is called when the hook is needed for the first time.
	Open Opener
}

// Opener starts the plugin of a hook, if it does not run yet.
type Opener func(context.Context) (Runner, error)

// Runner is the client of a hook plugin; *hook.Client of the SDK is one. The error is not nil when there was no answer:
// the context ended, or the plugin crashed, after which the next call starts it again.
type Runner interface {
	Run(context.Context, sdkhook.Event, sdkhook.Output) (sdkhook.Result, error)
}

// Scripts returns the hooks that the twenty script options of a server describe. script gives the value of an option such
// as "pre_backup_retry_script", empty for none; open opens the plugin "script" with a command.
func Scripts(script func(option string) string, open func(command string) Opener) []Hook {
	var hooks []Hook
	for _, event := range events {
		for _, phase := range []string{sdkhook.PhasePre, sdkhook.PhasePost} {
			for _, retry := range []bool{false, true} {
				h := Hook{Event: event, Phase: phase, Retry: retry, InheritEnvironment: true}
				command := script(h.option())
				if command == "" {
					continue
				}
				h.Title, h.Open = command, open(command)
				hooks = append(hooks, h)
			}
		}
	}
	return hooks
}

var events = []string{
	sdkhook.EventBackup, sdkhook.EventDelete, sdkhook.EventArchive, sdkhook.EventWALDelete, sdkhook.EventRecovery,
}

// name is the value of BARMAN_HOOK: "backup_script", "wal_delete_retry_script".
func (h Hook) name() string {
	if h.Retry {
		return h.Event + "_retry_script"
	}
	return h.Event + "_script"
}

// option is the option that holds the script: "pre_backup_script".
func (h Hook) option() string { return h.Phase + "_" + h.name() }

// limited returns a context for one run of the hook. After the timeout its cause is a *TimeoutError.
func (h Hook) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	if h.Timeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, h.Timeout, &TimeoutError{Timeout: h.Timeout})
}
