// Package faults kills things.
//
//	kill_test.go       kill -9 of barman, of its plugin, and of rsync or pg_basebackup, at random moments of backup and archive-wal
//	durable_test.go    the order of system calls: what is acknowledged was synced before
//	processes_test.go  finding victims and survivors in /proc
//
// The random seed is printed; BARMAN_TEST_SEED repeats a run as far as the machine's timing allows.
package faults
