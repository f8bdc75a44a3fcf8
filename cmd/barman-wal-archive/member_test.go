package main

import (
	"archive/tar"
	"bytes"
	"crypto/md5" //nolint:gosec // see member.go
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
)

// content is something that compresses like WAL: pages that repeat, with noise.
func content(size int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, size)
	for i := range b {
		switch {
		case i%512 < 64:
			b[i] = byte(r.Uint32())
		case i >= 512:
			b[i] = b[i-512]
		}
	}
	return b
}

func walFile(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), segment)
	if err := os.WriteFile(path, content, 0o640); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t *testing.T, path string, f *format, l level) *member {
	t.Helper()
	t.Setenv("TMPDIR", filepath.Dir(path))
	m, err := openMember(path, f, l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.content.Close() })
	return m
}

// members reads a stream.
func members(t *testing.T, r io.Reader) (headers []*tar.Header, contents [][]byte) {
	t.Helper()
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return headers, contents
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		headers, contents = append(headers, h), append(contents, b)
	}
}

func TestStreamIsTheFileAndThenItsChecksum(t *testing.T) {
	data := content(1 << 20)
	path := walFile(t, data)
	at := time.Unix(1700000000, 123456789)
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
	for _, withMD5 := range []bool{false, true} {
		var b bytes.Buffer
		if err := open(t, path, nil, "medium").writeStream(&b, withMD5); err != nil {
			t.Fatal(err)
		}
		headers, contents := members(t, &b)
		name, line := "SHA256SUMS", fmt.Sprintf("%x *%s\n", sha256.Sum256(data), segment)
		if withMD5 {
			name, line = "MD5SUMS", fmt.Sprintf("%x *%s\n", md5.Sum(data), segment) //nolint:gosec // see member.go
		}
		if len(headers) != 2 || headers[0].Name != segment || headers[1].Name != name {
			t.Fatalf("members %v", headers)
		}
		if !bytes.Equal(contents[0], data) || string(contents[1]) != line {
			t.Errorf("content differs, or checksum is %q, want %q", contents[1], line)
		}
		if !headers[0].ModTime.Equal(at) || headers[0].Format != tar.FormatPAX || headers[0].Mode != 0o640 || headers[0].Uid != os.Getuid() {
			t.Errorf("header %+v", headers[0])
		}
	}
}

// TestOtherProgramsReadWhatIsCompressed decodes with the standard tools, at the ends of the range of levels.
func TestOtherProgramsReadWhatIsCompressed(t *testing.T) {
	data := content(300 << 10)
	path := walFile(t, data)
	for i := range formats {
		f := &formats[i]
		for _, l := range []level{"low", "medium", "high", "-100", "100"} {
			if f.name == "xz" && l == "100" {
				continue // 64 MiB of dictionary, seconds of time
			}
			m := open(t, path, f, l)
			var b bytes.Buffer
			if err := m.writeStream(&b, false); err != nil {
				t.Fatal(err)
			}
			headers, contents := members(t, &b)
			if headers[0].Name != segment || string(contents[1]) != fmt.Sprintf("%x *%s\n", sha256.Sum256(contents[0]), segment) {
				t.Errorf("%s: the checksum is not that of what is sent", f.name)
			}
			info, err := os.Stat(path)
			if err != nil || !headers[0].ModTime.Equal(info.ModTime()) {
				t.Errorf("%s: time %v, that of the WAL file is %v", f.name, headers[0].ModTime, info.ModTime())
			}
			if plain := decoded(t, f.name, contents[0]); !bytes.Equal(plain, data) {
				t.Errorf("%s at level %s: %d bytes come out, %d went in", f.name, l, len(plain), len(data))
			}
			if len(contents[0]) > len(data)/2 {
				t.Errorf("%s at level %s: %d of %d bytes", f.name, l, len(contents[0]), len(data))
			}
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "barman-wal-archive*")); len(left) > 0 {
		t.Errorf("it left %v", left)
	}
}

func decoded(t *testing.T, name string, packed []byte) []byte {
	t.Helper()
	if name == "snappy" { // Debian has no tool for its frames
		plain, err := io.ReadAll(s2.NewReader(bytes.NewReader(packed)))
		if err != nil {
			t.Fatal(err)
		}
		return plain
	}
	cmd := exec.Command(name, "-dc")
	cmd.Stdin = bytes.NewReader(packed)
	plain, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s -dc: %v", name, err)
	}
	return plain
}

// TestAFileThatChangesIsNotSent cuts or extends the file after it was opened: the stream never gets as far as its checksum.
func TestAFileThatChangesIsNotSent(t *testing.T) {
	const size = 1 << 20
	for name, to := range map[string]int64{"shorter": size / 2, "longer": size + 1, "empty": 0} {
		t.Run(name, func(t *testing.T) {
			path := walFile(t, content(size))
			m := open(t, path, nil, "medium")
			if err := os.Truncate(path, to); err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			if err := m.writeStream(&b, false); !errors.Is(err, errChanged) {
				t.Errorf("error %v", err)
			}
			if strings.Contains(b.String(), "SHA256SUMS") {
				t.Error("a checksum was sent")
			}
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := pack(f, size, &formats[0], "low"); !errors.Is(err, errChanged) {
				t.Errorf("compressed: error %v", err)
			}
		})
	}
}
