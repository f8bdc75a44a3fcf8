package lab

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// NewRandom makes the choices of a test; the environment variable that it logs repeats them.
func NewRandom(t testing.TB) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("BARMAN_TEST_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("BARMAN_TEST_SEED: %v", err)
		}
	}
	t.Logf("repeat with BARMAN_TEST_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}
