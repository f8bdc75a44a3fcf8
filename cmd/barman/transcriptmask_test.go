package main

import "regexp"

// mask hides what a pattern matches.
type mask struct {
	pattern *regexp.Regexp
	with    string
}

func hidden(text string, masks []mask) string {
	for _, m := range masks {
		text = m.pattern.ReplaceAllString(text, m.with)
	}
	return text
}

// hostMasks hide what depends on the host, the day, the process and the build.
var hostMasks = []mask{
	{regexp.MustCompile(`\(process \d+[^)]*\)`), "(process …)"},
	{regexp.MustCompile(`start time: [^,]*, elapsed time: [^)"]*`), "start time: …, elapsed time: …"},
	{regexp.MustCompile(`\b[0-9a-f]{64}\b`), "SHA256"},
	{regexp.MustCompile(`looked in: \$PLUGINS, [^\n"\\]*`), "looked in: $$PLUGINS, …"},
	{regexp.MustCompile(`(\d+ (day|hour|minute|second)s?(, )?)+ago`), "… ago"},
	{regexp.MustCompile(`((latest backup|last WAL|last file)[^:()]*: )?(\d+ (day|hour|minute|second)s?(, )?){2,}`), "$1… "},
	{regexp.MustCompile(
		`(\\?"(?:kernel_ver|release|rsync_ver|ssh_ver|go_ver|executable|timestamp|barman_build|barman_user)\\?": )\\?"[^"\\]*\\?"`), `$1"…"`},
	// The column is as wide as the longest path of this run.
	{regexp.MustCompile(` +# (default|rule|\$WORK)`), "  # $1"},
	// Who restores as root is told to whom the files belong.
	{regexp.MustCompile(`! WARNING: The restored files will belong to [^\n]*\n`), ""},
	{regexp.MustCompile(`"_WARNING": \["The restored files will belong to [^"]*"\], `), ""},
}

// liveMasks hide what differs between two servers, and between two runs. They are applied in order: how many WAL files there
// are, and in how many rounds they arrive, depends on what PostgreSQL has to write of its own accord.
var liveMasks = []mask{
	{regexp.MustCompile(`[0-9A-F]{24}(\.[0-9A-F]{8}\.backup)?\b`), "WAL"},
	{regexp.MustCompile(`Waiting for the WAL file WAL from server 'main'\n`), ""},
	{regexp.MustCompile(`"Waiting for the WAL file WAL from server 'main'", `), ""},
	{regexp.MustCompile(`(Processing xlog segments from file archival for main\n(\t(WAL|no file found)\n)*)+`), "Processing xlog segments from file archival for main\n\t…\n"},
	{
		regexp.MustCompile(`"Processing xlog segments from file archival for main"(, "(\\t(WAL|no file found)|Processing xlog segments from file archival for main)")*`),
		`"Processing xlog segments from file archival for main", "\t…"`,
	},
	{regexp.MustCompile(`(\tWAL\n)+`), "\tWAL …\n"},
	{regexp.MustCompile(`(\tWAL from server main has been removed\n)+`), "\tWAL … from server main has been removed\n"},
	{regexp.MustCompile(`\b20\d{6}T\d{6}\b`), "ID"},
	{regexp.MustCompile(`\b[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}\b`), "TIME"},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:\d\d| UTC)`), "TIME"},
	{regexp.MustCompile(`\b0/[0-9A-F]+\b`), "LSN"},
	{regexp.MustCompile(`\(WAL, [0-9A-F]{8}\)`), "(WAL, OFFSET)"},
	{regexp.MustCompile(`(    (Begin Offset|End Offset|Number of WALs|Number of files) *: )\d+`), "${1}…"},
	{regexp.MustCompile(` {4}(Copy time|Estimated throughput|WAL rate) *: [^\n]*\n`), ""},
	{regexp.MustCompile(`less than one second|\b(\d+ (minute|second)s?(, )?)+`), "DURATION"},
	{regexp.MustCompile(`max: DURATION`), "max: 30 seconds"},
	{regexp.MustCompile(`\b\d+(\.\d+)? ([KMGT]i)?B\b`), "SIZE"},
	{regexp.MustCompile(`=\d+B`), "=…B"},
	{regexp.MustCompile(`\b\d+\.\d+/hour`), "…/hour"},
	{regexp.MustCompile(`\b15\.\d+\b`), "15.x"},
	{regexp.MustCompile(`\b1500\d\d\b`), "1500xx"},
	{regexp.MustCompile(`(postgresql\.conf line |"postgresql\.conf", )\d+`), "${1}N"},
	{regexp.MustCompile(`(\t(?:archived_count|current_size|current_archived_wals_per_second): )[^\n]*`), "${1}…"},
	{regexp.MustCompile(
		`("(?:\w*_offset|cluster_size|size|deduplicated_size|\w*_timestamp|\w*_seconds|analysis_time|\w*copy_time|total_time)": )"?[\d.e-]+"?`), "${1}…"},
	{regexp.MustCompile(`"The restored files will belong to [^"]*", `), ""},
}
