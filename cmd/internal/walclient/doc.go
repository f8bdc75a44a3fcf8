// Package walclient is what barman-wal-archive and barman-wal-restore have in common: the command line of a program that
// PostgreSQL starts for every WAL file, and the call of barman on the backup host through ssh.
//
//	PostgreSQL ─▶ sh ─▶ barman-wal-archive ─▶ ssh -q -T barman@backup barman put-wal main
//	                    barman-wal-restore ─▶ ssh -q -T barman@backup barman "get-wal 'main' '0000…03'"
//
// Invariants:
//
//   - The words that ssh gets are those of Python Barman's clients, so that either server, and every ForceCommand written for
//     them, understands them.
//   - Exit codes are Python Barman's, except that none is above 125: PostgreSQL takes 126 and more for a broken command, aborts a
//     recovery, and starts its archiver anew. Only --test, which people call, hands on what ssh said.
//   - No ssh outlives its client.
package walclient
