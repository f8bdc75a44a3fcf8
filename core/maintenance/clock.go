package maintenance

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/report"
)

// Clock is what a machine knows of the time.
type Clock struct {
	// Wall is what people and NTP set.
	Wall time.Time `json:"wall"`
	// Boot names the boot of the machine; Uptime is the time since, which nobody can set. Boot is empty when not known.
	Boot   string        `json:"boot_id"`
	Uptime time.Duration `json:"uptime_ns"`
}

// ReadClock asks the kernel.
func ReadClock() Clock {
	c := Clock{Wall: time.Now()}
	var ts unix.Timespec
	if id := bootID(); id != "" && unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) == nil {
		c.Boot, c.Uptime = id, time.Duration(ts.Nano())
	}
	return c
}

// bootID is the kernel's name of this boot; empty when it has none. No process lives longer than that.
var bootID = sync.OnceValue(func() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
})

const (
	// jumpTolerance is how far the wall clock may go without the other one.
	jumpTolerance = time.Hour
	// jumpAbsence is how long nobody may have looked, over a reboot, before that is taken for a jump.
	jumpAbsence = 24 * time.Hour
	// jumpGrace is how long nothing expires after a jump: time for somebody to see the warning.
	jumpGrace = 24 * time.Hour
	// clockFileAge is how old the record may become before it is written again for no other reason.
	clockFileAge = 10 * time.Minute
)

// clockState is the clock as retention saw it last, and the jump that it saw.
type clockState struct {
	Clock
	// Jump is how far the wall clock has jumped; 0 when it is trusted. Noticed is when it was last seen to jump, by itself.
	Jump    time.Duration `json:"jump_ns"`
	Noticed time.Time     `json:"noticed"`
	// Said is what the last pass had to say, so that the next one does not say it again.
	Said []string `json:"said,omitempty"`
}

// observe compares the clock with what it was. The wall clock and the time since boot must have gone equally far. After a
// reboot nobody knows how long the machine was off, so a clock that went back, or a day ahead, counts as a jump. A jump back
// to where the clock was ends the distrust; otherwise the clock is trusted again after jumpGrace.
func (s clockState) observe(now Clock) clockState {
	if s.Wall.IsZero() {
		return clockState{Clock: now} // the first look
	}
	drift := now.Wall.Sub(s.Wall)
	switch {
	case now.Boot == s.Boot && s.Boot != "":
		drift -= now.Uptime - s.Uptime
	case drift >= 0 && drift <= jumpAbsence:
		drift = 0
	}
	next := clockState{Clock: now, Jump: s.Jump, Noticed: s.Noticed}
	if drift.Abs() > jumpTolerance {
		next.Jump, next.Noticed = next.Jump+drift, now.Wall
	}
	if next.Jump.Abs() <= jumpTolerance || now.Wall.Sub(next.Noticed) >= jumpGrace {
		next.Jump, next.Noticed = 0, time.Time{}
	}
	return next
}

// distrust says why the wall clock may be wrong; empty when it is trusted.
func (s clockState) distrust() string {
	if s.Jump == 0 {
		return ""
	}
	direction := "ahead"
	if s.Jump < 0 {
		direction = "back"
	}
	return fmt.Sprintf("the clock of this host went %s %s between two runs of cron, and is trusted again at %s if nobody sets it right",
		report.Duration(s.Jump.Abs()), direction, s.Noticed.Add(jumpGrace).Local().Format(time.DateTime))
}

func (k *Keeper) clockPath() string {
	return filepath.Join(k.Catalog.Layout.Backup, ".retention-clock")
}

// clock is the state of the clock now, and the one that was recorded. Without a function for it the clock is trusted.
func (k *Keeper) clock() (now, recorded clockState, err error) {
	if k.Clock == nil {
		return now, recorded, nil
	}
	data, err := os.ReadFile(k.clockPath())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return now, recorded, err
	}
	if err := json.Unmarshal(data, &recorded); err != nil {
		recorded = clockState{} // half a file is as good as none
	}
	return recorded.observe(k.Clock()), recorded, nil
}

// record remembers the clock, and what there was to say, for the next pass.
func (k *Keeper) record(said []string) error {
	now, recorded, err := k.clock()
	now.Said = said
	age := now.Wall.Sub(recorded.Wall)
	isFresh := age >= 0 && age < clockFileAge && now.Boot == recorded.Boot && now.Jump == recorded.Jump &&
		slices.Equal(said, recorded.Said)
	if err != nil || k.Clock == nil || isFresh {
		return err
	}
	data, err := json.Marshal(now)
	if err != nil {
		return err
	}
	return fsx.WriteFile(k.clockPath(), append(data, '\n'), 0o644)
}
