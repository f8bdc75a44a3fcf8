// Package faults kills things, fails disks, and takes the power away.
//
//	kill_test.go       kill -9 of barman, of its plugin, and of rsync or pg_basebackup, at random moments of backup and archive-wal
//	torture_test.go    kill -9 of archive-wal, put-wal, receive-wal and cron while WAL comes in both ways
//	durable_test.go    the order of system calls: what is acknowledged was synced before
//	powerloss_test.go  a loss of power after every step of put-wal, archive-wal and others, also after a kill
//	receiver_test.go   the same of receive-wal; flushproxy_test.go sees what it says to have
//	diskerrors_test.go EIO and ENOSPC at any step
//	disk_test.go       the host whose disk does that (internal/faultfs), and its WAL
//	witness_test.go    what was acknowledged, and whether it can be found on a disk that lost its power (internal/powerloss)
//	processes_test.go  finding victims and survivors in /proc
//
// The random seed is printed; BARMAN_TEST_SEED repeats a run as far as the machine's timing allows. BARMAN_TEST_ROUNDS is the number of kills
// of the torture.
package faults
