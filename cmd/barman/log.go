package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

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
		a.logFile = &logFile{path: path}
		if err := a.logFile.reopen(); err != nil {
			problem = fmt.Errorf("cannot open the log file: %w; messages go to standard error", err)
			a.logFile, w = nil, a.stderr
			break
		}
		a.closers = append(a.closers, a.logFile.close)
		w = a.logFile
	case a.flags.debug || a.flags.logLevel != "":
		w = a.stderr
	default:
		return nil
	}
	a.log = hclog.New(&hclog.LoggerOptions{Name: "barman", Output: w, Level: logLevel(level), IncludeLocation: false}).
		With("pid", os.Getpid())
	return problem
}

// logFile is a file that several processes append whole lines to. Every process opens it anew, and those that live on do so at SIGHUP,
// which is what makes rotation by renaming work. Its methods may be called from several goroutines.
type logFile struct {
	path string
	mu   sync.Mutex
	file *os.File
}

// reopen goes on with the file that has the name now, and makes one if there is none. On error the file in use stays.
func (l *logFile) reopen() error {
	if err := os.MkdirAll(filepath.Dir(l.path), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(l.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		_ = l.file.Close()
	}
	l.file = file
	return nil
}

func (l *logFile) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Write(line)
}

func (l *logFile) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.file.Close()
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
