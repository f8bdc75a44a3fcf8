// Package docs keeps the documentation true: what the pages show is taken from them and tried.
//
//	```console    commands of barman are run, on a scratch configuration with a server "main" that does not answer, and must
//	              not be mistakes; targets of make must exist; what builds an example is done
//	```hcl        is loaded: it is HCL, and Barman knows every block and option in it
//	```go         is Go
//	`barman x`    in the text: the command exists and has the options
//	[x](y)        relative links lead to a file, and anchors to a heading
//
// /opt/acme in the pages stands for a directory of the reader's; here it is one of the test's.
package docs
