package hook

import (
	"context"
	"fmt"
	"time"

	sdkhook "github.com/barman-go/barman/sdk/hook"
)

// The pauses between the attempts of a retry hook. Source: Barman manual, chapter "Hook scripts".
const (
	shortBreak = 3 * time.Second
	longBreak  = 60 * time.Second
	// shortBreaks is the number of failures after which a long break follows the next.
	shortBreaks = 5
)

// attempts runs one hook for one event.
type attempts struct {
	set     *Set
	hook    Hook
	runner  Runner
	request sdkhook.Event
}

// once runs a standard hook, whose end is only logged.
func (a *attempts) once(ctx context.Context) error {
	_, err := a.run(ctx)
	return err
}

// untilDone runs a retry hook until it succeeds or aborts.
func (a *attempts) untilDone(ctx context.Context) error {
	for failures := 1; ; failures++ {
		outcome, err := a.run(ctx)
		if err != nil {
			return err
		}
		switch outcome {
		case sdkhook.Success:
			return nil
		case sdkhook.AbortContinue:
			a.set.log.Warn(fmt.Sprintf("%s was aborted (got exit status %d, Barman resumes)",
				a.hook.Title, sdkhook.ExitAbortContinue))
			return nil
		case sdkhook.AbortStop:
			a.set.log.Error(fmt.Sprintf("%s was aborted (got exit status %d, Barman requested to stop)",
				a.hook.Title, sdkhook.ExitAbortStop))
			return &AbortError{Hook: a.hook.option(), Title: a.hook.Title}
		}
		if err := a.pause(ctx, failures); err != nil {
			return err
		}
		a.request.Attempt++
	}
}

// pause waits after a number of failures.
func (a *attempts) pause(ctx context.Context, failures int) error {
	if failures%(shortBreaks+1) != 0 {
		a.set.log.Debug(fmt.Sprintf("Retry again in %d seconds", shortBreak/time.Second), "script", a.hook.Title)
		return a.set.options.Sleep(ctx, shortBreak)
	}
	a.set.log.Debug(fmt.Sprintf("Reached %d failures. Take a nap then retry again in %d seconds",
		shortBreaks, longBreak/time.Second), "script", a.hook.Title)
	return a.set.options.Sleep(ctx, longBreak)
}

// run runs the hook once and logs how it ended. A crash of the plugin is a failure of the hook, and so is the end of its
// time; the error is the context's.
func (a *attempts) run(ctx context.Context) (sdkhook.Outcome, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	log := a.set.log
	log.Debug("Attempt to run "+a.hook.option(), "script", a.hook.Title, "attempt", a.request.Attempt)
	out := &output{log: log, title: a.hook.Title}
	limited, release := a.hook.limited(ctx)
	defer release()
	result, err := a.runner.Run(limited, a.request, out)
	failed := err != nil || result.Outcome == sdkhook.Failure
	switch {
	case ctx.Err() != nil && failed:
		return 0, ctx.Err()
	case limited.Err() != nil && failed:
		log.Warn(fmt.Sprintf("%s was %s", a.hook.Title, context.Cause(limited)),
			"hook", a.hook.option(), "Output details", out.details())
		return sdkhook.Failure, nil
	case err != nil:
		log.Error(fmt.Sprintf("%s failed", a.hook.Title), "hook", a.hook.option(), "error", err)
		return sdkhook.Failure, nil
	case result.Outcome == sdkhook.Success:
		log.Debug(fmt.Sprintf("%s returned 0", a.hook.Title), "hook", a.hook.option())
	case result.ExitCode != 0:
		log.Warn(fmt.Sprintf("%s returned %d", a.hook.Title, result.ExitCode),
			"hook", a.hook.option(), "Output details", out.details())
	default:
		log.Warn(fmt.Sprintf("%s failed", a.hook.Title),
			"hook", a.hook.option(), "error", result.Err, "Output details", out.details())
	}
	return result.Outcome, nil
}
