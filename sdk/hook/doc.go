// Package hook is what an author of a hook plugin implements, and the typed client of such a plugin.
//
// A hook runs once per call and says how it ended; core owns the order of hooks and the retries:
//
//	func (h webhook) Run(ctx context.Context, ev hook.Event, out hook.Output) hook.Result {
//		if err := h.post(ctx, ev); err != nil {
//			return hook.Result{Outcome: hook.Failure, Err: err} // a retry hook is run again
//		}
//		return hook.Result{Outcome: hook.Success}
//	}
package hook
