package postgres

import (
	"context"
	"errors"
	"time"
)

// SwitchPolicy says how a primary is made to move on while the backup of a standby waits for it.
type SwitchPolicy struct {
	// First is the delay before the first switch, Every the time between switches, Times how many there are at most.
	First, Every time.Duration
	Times        int
	// CheckpointAfter is the time after which, when all switches did not help, one CHECKPOINT and one more switch are
	// made on the primary; 0 means never (option primary_checkpoint_timeout).
	CheckpointAfter time.Duration
	// OnEvent is told about each switch ("switched", with the closed segment) and checkpoint; may be nil. It is called from
	// another goroutine than that of StopOnStandby.
	OnEvent func(event, closed string)
}

// DefaultSwitchPolicy is that of Barman: after one second, every ten seconds, ten times.
func DefaultSwitchPolicy() SwitchPolicy {
	return SwitchPolicy{First: time.Second, Every: 10 * time.Second, Times: 10}
}

// StopOnStandby is Stop for a backup of a standby: it makes the primary switch WAL segments while the standby waits for the
// end of the backup to arrive. When the primary fails, the standby's own wait goes on, because the primary's ordinary
// work may end it as well; that error is returned only if the stop fails, too.
func (b *Backup) StopOnStandby(ctx context.Context, primary *Conn, policy SwitchPolicy) (StopPoint, error) {
	pushing, done := context.WithCancel(ctx)
	pushed := make(chan error, 1)
	go func() { pushed <- primary.push(pushing, policy) }()
	stop, err := b.Stop(ctx)
	done()
	if pushErr := <-pushed; err != nil {
		return StopPoint{}, errors.Join(err, pushErr)
	}
	return stop, nil
}

// push switches by the policy until ctx ends.
func (c *Conn) push(ctx context.Context, policy SwitchPolicy) error {
	begin := time.Now()
	delay := policy.First
	for range policy.Times {
		if !sleep(ctx, delay) {
			return nil
		}
		if err := c.pushOnce(ctx, policy); err != nil {
			return err
		}
		delay = policy.Every
	}
	if policy.CheckpointAfter <= 0 || !sleep(ctx, max(policy.Every, policy.CheckpointAfter-time.Since(begin))) {
		return nil
	}
	if err := c.Checkpoint(ctx); err != nil {
		return ignoreEnd(ctx, err)
	}
	policy.report("checkpoint", "")
	return c.pushOnce(ctx, policy)
}

func (c *Conn) pushOnce(ctx context.Context, policy SwitchPolicy) error {
	closed, err := c.ForceSwitchWAL(ctx)
	if err == nil {
		// Standbys of older versions take a segment for complete only when something of the next one arrives.
		_, err = c.CreateRestorePoint(ctx, switchPoint)
	}
	if err != nil {
		return ignoreEnd(ctx, err)
	}
	policy.report("switched", closed)
	return nil
}

func (p SwitchPolicy) report(event, closed string) {
	if p.OnEvent != nil {
		p.OnEvent(event, closed)
	}
}

// ignoreEnd drops the error of a call that was cancelled because the backup has stopped.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// sleep waits and tells whether ctx still lives.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
