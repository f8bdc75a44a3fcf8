package config

// sourceFile is one file of the configuration.
type sourceFile struct {
	path string
	text []byte
}
