// Package retention decides which backups a server still needs.
//
// It is pure: backups, the policy and the time are arguments, and the answer is a Report with one Verdict for each
// backup, including a sentence that says why.
//
//	RECOVERY WINDOW OF 7 DAYS, today is the 20th          REDUNDANCY 2
//
//	18th  VALID                                           18th  VALID       newest
//	15th  VALID                                           15th  VALID       second
//	11th  VALID     the anchor: recovery to the 13th      11th  OBSOLETE
//	      ────────  begins here                           04th  OBSOLETE
//	04th  OBSOLETE
//
// Invariants:
//
//   - The newest complete backup is never obsolete, nor is any backup that is kept.
//   - With a recovery window, the anchor is valid: the newest backup that ended before the window, from which every
//     moment of the window can be recovered. Without an anchor nothing is obsolete.
//   - Obsolete backups leave at least minimum_redundancy complete backups that are not incremental.
//   - Only backups that are DONE count. A backup that failed, or still waits for WAL files, neither counts nor is
//     obsolete.
//   - An incremental backup has the verdict of the full backup at its root, unless it is kept or being taken; then its
//     whole chain stays.
//   - A backup whose delete began is obsolete, with all that depends on it.
//   - Nothing else is obsolete while the clock is not to be trusted.
package retention
