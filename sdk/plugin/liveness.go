package plugin

import (
	"os"
	"strconv"
	"syscall"
)

// watchHost returns a channel that is closed when the host is gone, or nil when this host gave no descriptor to tell.
func watchHost() <-chan struct{} {
	fd, err := strconv.Atoi(os.Getenv(LivenessKey))
	if err != nil || fd < 3 {
		return nil
	}
	// Tools must not inherit it.
	syscall.CloseOnExec(fd)
	if syscall.SetNonblock(fd, true) != nil {
		return nil
	}
	f := os.NewFile(uintptr(fd), "liveness")
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		buf := make([]byte, 16)
		for {
			// The host never writes; bytes, should there be any, mean nothing.
			if _, err := f.Read(buf); err != nil {
				return
			}
		}
	}()
	return gone
}
