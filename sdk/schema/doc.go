// Package schema describes the options of a plugin and reads their values.
//
// A plugin lists its options once:
//
//	schema.Schema{
//		{Name: "url", Type: schema.String, Required: true, Help: "Where to send the event."},
//		{Name: "timeout", Type: schema.Integer, Default: 10, Help: "Seconds to wait for an answer."},
//		{Name: "token", Type: schema.String, Sensitive: true, Help: "Sent as a bearer token."},
//	}
//
// Core checks a `config { }` block against it, with file and line in every message, fills in the defaults, and hands the
// plugin Values that are complete and of the right types. The SDK checks once more with Schema.Complete, so that a
// plugin can trust its Values whoever the host is.
//
// Values cross the wire as a JSON object (Values.JSON, ParseValues).
package schema
