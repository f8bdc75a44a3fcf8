package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/go-hclog"
)

// openLog opens log_file. Without one, only --debug and --log-level log, to standard error: every message that matters is
// printed anyway. A problem is returned for the user; the run goes on.
func (a *app) openLog() error {
	level := a.flags.logLevel
	if level == "" {
		level = a.cfg.Global.LogLevel
	}
	var w io.Writer
	var problem error
	switch path := a.cfg.Global.LogFile; {
	case path != "":
		f, err := openLogFile(path)
		if err != nil {
			problem = fmt.Errorf("cannot open the log file: %w; messages go to standard error", err)
			w = a.stderr
			break
		}
		a.closers = append(a.closers, func() { _ = f.Close() })
		w = f
	case a.flags.debug || a.flags.logLevel != "":
		w = a.stderr
	default:
		return nil
	}
	a.log = hclog.New(&hclog.LoggerOptions{Name: "barman", Output: w, Level: logLevel(level), IncludeLocation: false}).
		With("pid", os.Getpid())
	return problem
}

// openLogFile opens for appending, so that several processes can write whole lines to one file. It is opened anew by every
// process, which is what makes rotation by renaming work.
func openLogFile(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
}

func logLevel(name string) hclog.Level {
	switch strings.ToUpper(name) {
	case "NOTSET", "DEBUG":
		return hclog.Debug
	case "WARNING":
		return hclog.Warn
	case "ERROR", "CRITICAL":
		return hclog.Error
	default:
		return hclog.Info
	}
}
