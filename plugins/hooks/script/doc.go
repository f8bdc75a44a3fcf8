// Barman-hook-script is the hook plugin behind the twenty options pre_backup_script … post_recovery_script: it gives the
// option's text to /bin/sh, as it is, and says how the shell ended.
//
//	exit code 0    success
//	exit code 62   stop retrying, go on with the operation
//	exit code 63   stop retrying and, before the operation, stop the operation
//	anything else  failure: a retry script is run again
//
// The script's environment is that of the request, which holds the BARMAN_* variables, over the plugin's own; directories
// of path_prefix lead PATH. It runs in the directory of $PWD, if there is one. Standard input is empty. Every line of output goes to Barman's log. A process that the script
// leaves in the background keeps running, but Barman neither waits for it nor reads what it prints. Source: Barman
// manual, chapter "Hook scripts".
//
// The command's text comes from the configuration file; nothing is ever added to it.
package main
