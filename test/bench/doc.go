// Package bench measures barman and its peers side by side, in one run and in turn, on real WAL and real catalogs.
//
// `make bench` runs it and writes docs/benchmarks.md. A figure is the median over several rounds in which every
// contender has its turn, so that a change of the machine's speed hits all alike; what counts are the ratios. Contenders
// that are not installed are left out, and the report says so. Nothing here asserts a time: the report is read by people.
package bench
