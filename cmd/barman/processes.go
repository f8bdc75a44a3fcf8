package main

import (
	"github.com/spf13/cobra"

	"github.com/barman-go/barman/core/lock"
	"github.com/barman-go/barman/core/report"
)

// process is one that works for a server.
type process struct {
	// task is what it does, in Barman's words.
	task   string
	lock   lock.Name
	holder lock.Holder
}

// tasks are the locks that stand for processes, in Barman's order.
var tasks = []lock.Kind{lock.ReceiveWAL, lock.SyncBackup, lock.Backup, lock.Cron, lock.ArchiveWAL, lock.SyncWAL}

// processes are those that hold a lock of the server, in the order of tasks.
func (s *server) processes() (found []process, err error) {
	held, err := lock.List(s.LockDirectory, s.Name)
	if err != nil {
		return nil, err
	}
	for _, kind := range tasks {
		for _, h := range held {
			if h.Name.Kind == kind {
				found = append(found, process{kind.String(), h.Name, h.Holder})
			}
		}
	}
	return found, nil
}

func newListProcessesCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list-processes SERVER",
		Aliases: []string{"list-process"},
		Short:   "List the barman processes that work for a server",
		Long: `List the processes that hold a lock of the server, each with its task: receive-wal, sync-backup, backup, cron, archive-wal
or sync-wal. terminate-process ends one of them.`,
		Example: "  barman list-processes main\n  barman -f json list-processes main",
		Args:    usage(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := a.oneServer(args[0], normal)
			if s == nil {
				return err
			}
			found, err := s.processes()
			if err == nil {
				a.out.Result(processList{s.Name, found})
			}
			return err
		},
	}
	completeServers(a, cmd)
	return cmd
}

// processList is the output of list-processes.
type processList struct {
	server    string
	processes []process
}

func (l processList) Console(p *report.Printer) {
	if len(l.processes) == 0 {
		p.Line("No active subprocesses found for server %s.", l.server)
		return
	}
	p.Line("Active subprocesses for server %s:", l.server)
	for _, one := range l.processes {
		p.Line("%d %s", one.holder.PID, one.task)
	}
}

func (l processList) JSON() map[string]any {
	items := []any{}
	for _, one := range l.processes {
		items = append(items, map[string]any{"pid": one.holder.PID, "name": one.task})
	}
	return map[string]any{l.server: items}
}

func newTerminateProcessCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "terminate-process SERVER TASK",
		Short: "Stop a barman process that works for a server",
		Long: `Tell the first process with a task to stop in order, as Ctrl-C does, and wait up to ten seconds for its end. list-processes
shows the tasks that run.`,
		Example: "  barman terminate-process main backup\n  barman terminate-process main receive-wal",
		Args:    usage(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.oneServer(args[0], normal)
			if s == nil {
				return err
			}
			return s.terminate(cmd.Context(), args[1])
		},
	}
	completeServers(a, cmd)
	return cmd
}
