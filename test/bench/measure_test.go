package bench

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"syscall"
	"testing"
	"time"
)

// contender is one program in a comparison.
type contender struct {
	name string
	// prepare brings everything into the state before a run; it is not measured. May be nil.
	prepare func(t *testing.T)
	// command is what is measured, as a whole process with its children.
	command func(ctx context.Context) *exec.Cmd
	// check looks at the outcome; may be nil.
	check func(t *testing.T)
	// finish waits, inside the measured time, for work that goes on in the background; it returns the processor time of that
	// work. May be nil.
	finish func(t *testing.T) time.Duration
	// once is for what takes so long that one turn has to do.
	once bool
}

// figures are those of one contender.
type figures struct {
	name      string
	wall, cpu []float64
	// rss is the most memory, in bytes, that one process of the command had.
	rss []float64
}

func (f figures) medianWall() float64 { return median(f.wall) }
func (f figures) medianCPU() float64  { return median(f.cpu) }

func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(values))
	if len(s)%2 == 1 {
		return s[len(s)/2]
	}
	return (s[len(s)/2-1] + s[len(s)/2]) / 2
}

// compare gives all contenders their turn, rounds times after one round that does not count.
func compare(t *testing.T, rounds int, contenders ...contender) []figures {
	t.Helper()
	results := make([]figures, len(contenders))
	for round := range rounds + 1 {
		// In a new order each time: what ran before leaves the processor's caches to those that come after it.
		for _, i := range rand.Perm(len(contenders)) {
			c := contenders[i]
			results[i].name = c.name
			if c.once && round != 1 {
				continue
			}
			wall, cpu, rss := runOnce(t, c)
			if round > 0 {
				results[i].wall = append(results[i].wall, wall.Seconds())
				results[i].cpu = append(results[i].cpu, cpu.Seconds())
				results[i].rss = append(results[i].rss, rss)
			}
		}
	}
	return results
}

func runOnce(t *testing.T, c contender) (wall, cpu time.Duration, rss float64) {
	t.Helper()
	if c.prepare != nil {
		c.prepare(t)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := c.command(ctx)
	var output bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &output
	}
	cmd.Stderr = &output
	forgetPeak(t)
	start := time.Now()
	err := cmd.Run()
	var background time.Duration
	if err == nil && c.finish != nil {
		background = c.finish(t)
	}
	wall = time.Since(start)
	if err != nil {
		t.Fatalf("%s: %v\n%s", c.name, err, output.String())
	}
	if c.check != nil {
		c.check(t)
	}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		rss = float64(usage.Maxrss) * 1024
	}
	return wall, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime() + background, rss
}

// forgetPeak gives back memory, and has the kernel forget how much this process had: a child's largest size begins with it.
func forgetPeak(t *testing.T) {
	t.Helper()
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
}

// ratio is by how much the first contender is faster (or uses less) than another one.
func ratio(ours, theirs float64) string {
	if ours == 0 || math.IsNaN(ours) || math.IsNaN(theirs) {
		return "–"
	}
	return fmt.Sprintf("%.2f×", theirs/ours)
}
