// Package ini reads the configuration of Python Barman (INI files) and writes the same configuration as HCL.
//
//	[barman]                          barman {
//	barman_home = /var/lib/barman  →    barman_home = "/var/lib/barman"
//	                                  }
//	[main]                            server "main" {
//	parallel_jobs = 4                   parallel_jobs = 4
//	                                  }
//
// Import is the whole interface. It reads the main file, the drop-in directory and .barman.auto.conf in the order in which
// Barman 3.17 reads them, with its rules for quotes, continuation lines and interpolation, and changes nothing on disk.
// Comments are kept above the option or section they stand above in the main file's order; values that the new grammar
// does not accept are written all the same, with a diagnostic, because only the user knows what was meant.
//
// Where the facts come from: the manual of Python's configparser and the observed behaviour of Barman 3.17.
package ini
