// Package progress is how long work tells how far it is.
package progress

// Progress counts what is done since the work began. A total of 0 means "not known yet".
type Progress struct {
	BytesDone, BytesTotal int64
	FilesDone, FilesTotal int64
	// Label says what is being worked on: "pgdata", "tablespace hot".
	Label string
}

// Reporter receives progress. Calls may come from several goroutines; implementations limit the rate themselves, so
// callers report as often as they like.
type Reporter interface {
	Progress(Progress)
}

// Discard is a Reporter that ignores everything.
var Discard Reporter = discard{}

type discard struct{}

// Progress does nothing.
func (discard) Progress(Progress) {}

// Func makes a function a Reporter.
type Func func(Progress)

// Progress calls f.
func (f Func) Progress(p Progress) { f(p) }
