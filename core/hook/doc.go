// Package hook runs what the configuration attaches to events: in the right order, with Barman's environment, and again
// when a retry hook asks for it. What a hook does is the business of its plugin; the twenty script options of Barman are
// hooks of the plugin "script".
//
//	pre standard → pre retry → the operation → post retry → post standard
//
//	set := hook.NewSet(options, hooks)
//	if err := set.Pre(ctx, hook.BackupEvent(b)); err != nil {
//		return err // nothing has been touched yet
//	}
//	defer func() { set.Post(context.WithoutCancel(ctx), hook.BackupEvent(b)) }()
//
// A standard hook runs once and never changes the outcome. A retry hook runs until it succeeds or aborts: five pauses of
// 3 seconds, then one of 60, and so on without end. ABORT_STOP of a pre retry hook is an *AbortError; in the post phase
// it is ignored with a warning. Source: Barman manual, chapter "Hook scripts".
//
// A hook may have a timeout, which Barman does not know: one that runs longer is stopped and has failed, so that a retry
// hook is run again and any other is only logged.
//
// Invariants: the environment of a retry hook is computed once and is the same in every attempt. A set without hooks for
// an event does nothing, and no plugin is started before the first hook that needs it.
package hook
