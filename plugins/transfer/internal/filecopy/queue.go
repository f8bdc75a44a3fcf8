package filecopy

import (
	"sync"
)

// job is one run of rsync for a worker: some units of one list, or a single file.
type job struct {
	item *itemState
	// list is nil for an item that is a file.
	list     *spool
	units    []unit
	checksum bool
}

// maxJob bounds the cost of a job, and with it the memory of its rsync, which keeps all names of its list: 100,000 small files.
const maxJob = 100_000 * fileCost

// stack holds the work that is left of one list.
type stack struct {
	job
	left int64
}

// queue hands out work while it lasts. What a worker gets is a share of all that is left, so jobs are long at first and
// short at the end, and no worker waits long for another.
type queue struct {
	workers int
	mu      sync.Mutex
	stacks  []*stack
	left    int64
}

func newQueue(workers int) *queue { return &queue{workers: workers} }

// add puts in a list; its units are sorted already.
func (q *queue) add(item *itemState, list *spool, checksum bool) {
	if len(list.units) == 0 {
		return
	}
	q.push(&stack{job: job{item: item, list: list, units: list.units, checksum: checksum}, left: total(list.units).cost()})
}

// addFile puts in an item that is a file.
func (q *queue) addFile(item *itemState) {
	q.push(&stack{job: job{item: item}, left: fileCost})
}

func (q *queue) push(s *stack) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stacks = append(q.stacks, s)
	q.left += s.left
}

// take returns the next job, from the list that has most left, and nil when there is nothing more to do.
func (q *queue) take() *job {
	q.mu.Lock()
	defer q.mu.Unlock()
	var from *stack
	for _, s := range q.stacks {
		if s.left > 0 && (from == nil || s.left > from.left) {
			from = s
		}
	}
	if from == nil {
		return nil
	}
	j := from.job
	if j.list == nil {
		q.left -= from.left
		from.left = 0
		return &j
	}
	share := min(q.left/int64(2*q.workers), maxJob)
	n, cost := 0, int64(0)
	for n < len(from.units) && (n == 0 || cost+from.units[n].cost() <= share) {
		cost += from.units[n].cost()
		n++
	}
	j.units, from.units = from.units[:n], from.units[n:]
	from.left -= cost
	q.left -= cost
	return &j
}

// width is the number of jobs that can run at the same time.
func (q *queue) width() int {
	n := 0
	for _, s := range q.stacks {
		n += max(1, len(s.units))
	}
	return min(n, q.workers)
}
