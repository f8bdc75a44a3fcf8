// Package faults kills things, fails disks, and takes the power away.
//
//	storm_test.go      what befalls backups by all methods, at random moments: signals to barman, its plugin and its tool, a lost ssh or
//	                   session, a crash of the server, the promotion of the standby that is backed up, a full disk (smalldisk_test.go)
//	kill_test.go       kill -9 of barman, of its plugin and of its tool, at random moments of archive-wal
//	scene_test.go      the server and the host of both, and what must hold after each blow; attack_test.go, victim_test.go strike it
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
// of the torture, BARMAN_TEST_STORM that of the faults of the storm.
package faults
