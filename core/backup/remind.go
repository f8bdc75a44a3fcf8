package backup

import (
	"sync"
	"time"

	"github.com/barman-go/barman/core/report"
)

// archiverPatience is how long PostgreSQL may wait for its archiver before the user is told; PostgreSQL itself warns after a minute.
const archiverPatience = time.Minute

// remind warns again and again that something is waited for: after first, and then each time when twice as much time has passed.
// The function that it returns ends that, and has to be called.
func remind(out report.Messenger, first time.Duration, format string) (done func()) {
	quit := make(chan struct{})
	var reminding sync.WaitGroup
	reminding.Go(func() {
		begin := time.Now()
		for next := first; ; next *= 2 {
			timer := time.NewTimer(next - time.Since(begin))
			select {
			case <-quit:
				timer.Stop()
				return
			case <-timer.C:
				out.Warning(format, report.Duration(time.Since(begin)))
			}
		}
	})
	return func() {
		close(quit)
		reminding.Wait()
	}
}
