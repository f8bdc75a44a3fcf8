package plugin

// What host and plugin agree on before the first message. A plugin in another language needs these values too.
const (
	// ProtocolVersion is the framework's version in the handshake of hashicorp/go-plugin. It changes only when every
	// plugin must be rebuilt; services evolve by name ("barman.compress.v1") and capability instead.
	ProtocolVersion = 1
	// CookieKey and CookieValue are an environment variable that tells a plugin that a host started it, not a person.
	CookieKey   = "BARMAN_PLUGIN_COOKIE"
	CookieValue = "8d3c1f1e6ae04a2f9d3ab2c07c1f5b6e"
	// LivenessKey is the environment variable with the number of a file descriptor that reports end of file when the
	// host is gone, however it ended. A plugin must then stop its tools and exit.
	LivenessKey = "BARMAN_PLUGIN_LIVENESS_FD"
	// LogLevelKey is the environment variable with the level that the host logs at: "trace" … "error", "off".
	LogLevelKey = "BARMAN_PLUGIN_LOG_LEVEL"
)

// Types of plugins, as they appear in file names (barman-compress-zstd) and in GetInfo.
const (
	TypeCompress = "compress"
	TypeTransfer = "transfer"
	TypeHook     = "hook"
)

// Types lists the types of plugins.
func Types() []string { return []string{TypeTransfer, TypeCompress, TypeHook} }

// ExecutableName is the file name of a plugin's executable.
func ExecutableName(pluginType, name string) string { return "barman-" + pluginType + "-" + name }
