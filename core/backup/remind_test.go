package backup

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/barman-go/barman/core/report"
)

// warnings receives what is warned about.
type warnings struct {
	report.Messenger
	said chan string
}

func (w warnings) Warning(format string, args ...any) { w.said <- fmt.Sprintf(format, args...) }

func TestRemindWarnsUntilItIsDone(t *testing.T) {
	w := warnings{said: make(chan string)}
	done := remind(w, time.Millisecond, "still waiting after %s")
	for range 3 {
		if said := <-w.said; !strings.HasPrefix(said, "still waiting after ") {
			t.Errorf("warned: %s", said)
		}
	}
	// Nobody listens any more, so done must also end a warning that is being given.
	go func() {
		for range w.said { // the last one may be on its way
		}
	}()
	done()
	close(w.said) // a warning after done would panic
}
