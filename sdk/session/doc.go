// Package session ends what is left of a process session.
//
// The host starts every plugin as the leader of a session of its own (setsid(2)), so the session's id is the plugin's
// process id, and whatever the plugin starts is in it, even when it moved to another process group:
//
//	barman (session 100)
//	└─ barman-transfer-rsync   pid 200, session 200, group 200
//	   └─ rsync                pid 210, session 200, group 210
//	      └─ ssh               pid 211, session 200, group 210
//
// A process that made a session of its own (a daemon, an ssh ControlMaster) has left on purpose and is not touched.
package session
