// Package pyliteral reads and writes the Python literals that stand in the files of a catalog.
//
// Some values of a backup.info file are the repr() of a Python object:
//
//	tablespaces=[('tbs1', 16387, '/srv/tbs1'), ("t'x", 16388, '/srv/t b')]
//	copy_stats={'copy_time': 11.5, 'total_time': 12.25}
//	backup_label='START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\nCHECKPOINT LOCATION: …'
//
// Python and Go values correspond like this:
//
//	None   nil          int    int64        list   []any
//	True   bool         float  float64      tuple  Tuple
//	str    string       dict   Dict (keeps the order of its keys)
//
// Invariants: Parse(Format(v)) equals v for every value Format accepts; Format writes exactly what Python 3 prints,
// so that a value written by either program reads the same in the other. A string that is not valid UTF-8 is written
// with the lone surrogates of PEP 383 (\udc80 … \udcff), one for each offending byte, and those are read back as that
// byte.
package pyliteral
