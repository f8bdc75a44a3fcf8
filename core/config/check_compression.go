package config

import "fmt"

// checkBackupCompression applies what can be said about pg_basebackup's compression without knowing its version.
// Source: PostgreSQL manual, pg_basebackup.
func (l *loader) checkBackupCompression(s *Server, sec *section) {
	algorithm := s.BackupCompression
	if algorithm == "" {
		return
	}
	if s.BackupCompressionFormat == "plain" && s.BackupCompressionLocation != "server" {
		location := s.BackupCompressionLocation
		if location == "" {
			location = "None"
		}
		l.optionError(s, sec, "backup_compression_format",
			"backup_compression_format plain is not compatible with backup_compression_location %s", location)
	}
	if text := badCompressionLevel(algorithm, s.BackupCompressionLevel); text != "" {
		l.optionError(s, sec, "backup_compression_level", "%s", text)
	}
	workers := s.BackupCompressionWorkers
	if workers == nil {
		return
	}
	incompatible := map[string]string{"gzip": "gzip", "lz4": "lz4.", "none": "'none'"}
	if name, ok := incompatible[algorithm]; ok {
		l.optionError(s, sec, "backup_compression_workers", "backup_compression_workers is not compatible with compression %s", name)
	} else if *workers < 0 {
		l.optionError(s, sec, "backup_compression_workers", "backup_compression_workers should be a non-negative integer: '%d' is invalid", *workers)
	}
}

// badCompressionLevel says why a level does not suit the algorithm, or "". Level 0 of gzip depends on the version of
// pg_basebackup and is left to `check`.
func badCompressionLevel(algorithm string, level *int) string {
	if level == nil {
		return ""
	}
	n := *level
	unsupported := fmt.Sprintf("backup_compression_level %d unsupported by compression algorithm.", n)
	switch {
	case algorithm == "gzip" && (n < -1 || n > 9):
		return unsupported + " gzip expects a compression level between -1 and 9 (default -1)."
	case algorithm == "lz4" && (n < 0 || n > 12):
		return unsupported + " lz4 expects a compression level between 1 and 12 (default will be used if unset)."
	case algorithm == "zstd" && (n < -131072 || n > 22):
		return unsupported + " zstd expects a compression level between -131072 and 22 (default 3 if unset)."
	case algorithm == "none" && n != 0:
		return "backup_compression none only supports backup_compression_level 0."
	}
	return ""
}
