package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// onHangup is the annotation of commands that live on for days: SIGHUP makes them open their log anew, as programs that rotate logs expect.
const onHangup = "barman_on_hangup"

// reopenLog is its value.
const reopenLog = "reopen_log"

// watchHangup makes SIGHUP mean something. A command that lives on opens its log again. For others the terminal is gone: they end as with
// SIGTERM, so that a backup is recorded as failed and leaves nothing behind. Below nohup the signal stays ignored.
func (a *app) watchHangup(cmd *cobra.Command) {
	if signal.Ignored(syscall.SIGHUP) {
		return
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	cmd.SetContext(ctx)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	a.closers = append(a.closers, func() { signal.Stop(hangups); cancel() })
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangups:
			}
			if cmd.Annotations[onHangup] != reopenLog {
				cancel()
				return
			}
			if a.logFile == nil {
				continue
			}
			if err := a.logFile.reopen(); err != nil {
				a.log.Error("cannot open the log file again; the old one is written on", "error", err)
			}
		}
	}()
}
