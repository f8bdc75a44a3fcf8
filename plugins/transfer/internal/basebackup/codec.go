package basebackup

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/toolexec"
	"github.com/barman-go/barman/sdk/transfer"
)

// release is a version of a codec's program, such as 1.5.4.
type release [3]int

func (r release) before(other release) bool {
	for i := range r {
		if r[i] != other[i] {
			return r[i] < other[i]
		}
	}
	return false
}

func (r release) String() string { return fmt.Sprintf("%d.%d.%d", r[0], r[1], r[2]) }

// What the manual demands of zstd ("Backup Compression").
var (
	zstdMinimum = release{1, 4, 4}
	zstdThreads = release{1, 5, 0}
)

// chooseCodec returns the program that reads the archives of a compression on this host, after hours of copying: the first,
// in path_prefix and then in PATH, that is new enough. It is empty when none is needed: for files, and for what this process
// reads itself.
func (e *Executor) chooseCodec(ctx context.Context, c *transfer.Compression) (string, error) {
	if c == nil || c.Format == "plain" {
		return "", nil
	}
	a, _ := findAlgorithm(c.Algorithm)
	if a.decoder == nil {
		return "", nil
	}
	program := a.decoder[0]
	var passed []string
	for _, path := range toolexec.Candidates(program, e.env.PathPrefix) {
		why := ""
		if a.name == "zstd" {
			why = e.zstdIsTooOld(ctx, path, c.Workers != nil && *c.Workers > 0)
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if why == "" {
			return path, nil
		}
		passed = append(passed, path+" "+why)
	}
	d := diag.Diagnostic{
		Severity: diag.Error, Code: diag.CodeToolMissing,
		Summary: fmt.Sprintf("backup_compression = %s needs the program %s on the Barman host", a.name, program),
		Detail:  strings.Join(passed, "; "),
	}
	if len(passed) == 0 {
		_, err := toolexec.LookPath(program, e.env.PathPrefix)
		d.Detail = err.Error()
	}
	return "", d
}

var releaseText = regexp.MustCompile(`\bv(\d+)\.(\d+)\.(\d+)`)

// zstdIsTooOld says why a zstd does not do, or "".
func (e *Executor) zstdIsTooOld(ctx context.Context, path string, threads bool) string {
	var out bytes.Buffer
	if _, err := toolexec.Run(ctx, toolexec.Command{Name: path, Args: []string{"--version"}, PathPrefix: e.env.PathPrefix, Stdout: &out}); err != nil {
		return "does not run: " + err.Error()
	}
	m := releaseText.FindStringSubmatch(out.String())
	if m == nil {
		return fmt.Sprintf("does not tell its version: %q", strings.TrimSpace(out.String()))
	}
	var found release
	for i := range found {
		found[i], _ = strconv.Atoi(m[i+1])
	}
	switch {
	case found.before(zstdMinimum):
		return fmt.Sprintf("is version %s, and %s or later is needed", found, zstdMinimum)
	case threads && found.before(zstdThreads) && !e.zstdHasThreads(ctx, path):
		return fmt.Sprintf("is version %s without threads, and backup_compression_workers needs %s or later, or %s compiled with multithreading",
			found, zstdThreads, zstdMinimum)
	}
	return ""
}

// zstdHasThreads lets zstd compress nothing with two threads: one without them says so, and does it with one.
func (e *Executor) zstdHasThreads(ctx context.Context, path string) bool {
	threads := true
	_, err := toolexec.Run(ctx, toolexec.Command{
		Name: path, Args: []string{"-T2", "-c", "-"}, PathPrefix: e.env.PathPrefix, Stdin: strings.NewReader(""), Stdout: io.Discard,
		OnStderr: func(line string) { threads = threads && !strings.Contains(line, "multi-threading is disabled") },
	})
	return err == nil && threads
}
