package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/sdk/compress"
	"github.com/barman-go/barman/sdk/plugin"
	"github.com/barman-go/barman/sdk/schema"
	"github.com/barman-go/barman/sdk/toolexec"
)

func newFilters(t *testing.T, config schema.Values, path ...string) compress.Compressor {
	t.Helper()
	c, err := open(t.Context(), plugin.Env{Config: config, PathPrefix: path})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFiltersGiveBackTheInput(t *testing.T) {
	c := newFilters(t, schema.Values{optionCompress: "gzip -c | cat", optionDecompress: "gzip -dc", optionMagic: "0x1F8b08"})
	plain := bytes.Repeat([]byte("write-ahead log "), 1<<18)
	var encoded, decoded bytes.Buffer
	if err := c.Compress(t.Context(), compress.Options{}, &encoded, bytes.NewReader(plain)); err != nil {
		t.Fatal(err)
	}
	if magic := c.Formats()[0].Magic; !bytes.HasPrefix(encoded.Bytes(), magic) || len(magic) != 3 {
		t.Errorf("encoded starts with % x, the magic is % x", encoded.Bytes()[:3], magic)
	}
	if err := c.Decompress(t.Context(), compress.Options{}, &decoded, &encoded); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(decoded.Bytes(), plain) {
		t.Errorf("got %d bytes back, want %d", decoded.Len(), len(plain))
	}
}

func TestFilesGoThroughTheFilterDirectly(t *testing.T) {
	c := newFilters(t, schema.Values{optionCompress: "tr a-z A-Z"})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "in"), []byte("segment"), 0o600); err != nil {
		t.Fatal(err)
	}
	src, err := os.Open(filepath.Join(dir, "in"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = src.Close() }()
	dst, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = dst.Close() }()
	if err := c.Compress(t.Context(), compress.Options{}, dst, src); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(dst.Name())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("SEGMENT", string(got)); diff != "" {
		t.Errorf("file (-want +got):\n%s", diff)
	}
}

func TestFailingFilterIsReportedWithItsMessage(t *testing.T) {
	plain := bytes.Repeat([]byte{'x'}, 1<<20)
	cases := []struct{ name, filter, want string }{
		{"exit code and message", "cat >/dev/null; echo no space for me >&2; exit 5", "exit code 5: no space for me"},
		{"no such program", "no-such-compressor -c", "exit code 127"},
		{"killed", "kill -9 $$", "signal SIGKILL"},
		{"stops reading", "head -c 10", "ended without reading all of its input"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			z := newFilters(t, schema.Values{optionCompress: c.filter})
			err := z.Compress(t.Context(), compress.Options{}, &bytes.Buffer{}, bytes.NewReader(plain))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.filter) {
				t.Errorf("error %v, want one with %q and the filter", err, c.want)
			}
		})
	}
	z := newFilters(t, schema.Values{optionCompress: "exit 5"})
	var exit *toolexec.ExitError
	if err := z.Compress(t.Context(), compress.Options{}, &bytes.Buffer{}, strings.NewReader("x")); !errors.As(err, &exit) {
		t.Errorf("error %v, want an exit error", err)
	}
}

func TestDamageThatTheFilterNoticesIsAnError(t *testing.T) {
	c := newFilters(t, schema.Values{optionCompress: "gzip -c", optionDecompress: "gzip -dc"})
	var encoded bytes.Buffer
	if err := c.Compress(t.Context(), compress.Options{}, &encoded, strings.NewReader("some text")); err != nil {
		t.Fatal(err)
	}
	cut := encoded.Bytes()[:encoded.Len()-3]
	if err := c.Decompress(t.Context(), compress.Options{}, &bytes.Buffer{}, bytes.NewReader(cut)); err == nil {
		t.Error("a cut file was decoded without an error")
	}
}

func TestFormatOffersWhatIsConfigured(t *testing.T) {
	cases := []struct {
		config schema.Values
		want   compress.Format
	}{
		{schema.Values{}, compress.Format{ID: "custom"}},
		{schema.Values{optionCompress: "xz"}, compress.Format{ID: "custom", CanCompress: true}},
		{
			schema.Values{optionDecompress: "xz -d", optionMagic: "0xfd377a"},
			compress.Format{ID: "custom", CanDecompress: true, Magic: []byte{0xfd, 0x37, 0x7a}},
		},
	}
	for _, c := range cases {
		got := newFilters(t, c.config).Formats()
		if len(got) != 1 {
			t.Fatalf("%v: %d formats", c.config, len(got))
		}
		if got[0].Magic != nil && len(got[0].Magic) == 0 {
			got[0].Magic = nil
		}
		if diff := cmp.Diff(c.want, got[0]); diff != "" {
			t.Errorf("%v: format (-want +got):\n%s", c.config, diff)
		}
	}
}

func TestBadMagicIsRefused(t *testing.T) {
	for _, magic := range []string{"1f8b08", "0x", "0x1", "0xzz", "x1f"} {
		found := definition().Validate(schema.Values{optionMagic: magic})
		if !found.HasErrors() || found[0].Attribute != optionMagic {
			t.Errorf("%q: diagnostics %v, want an error about %s", magic, found, optionMagic)
		}
	}
	for _, magic := range []string{"", "0x1f8b08", "0X1F8B08"} {
		if found := definition().Validate(schema.Values{optionMagic: magic}); found.HasErrors() {
			t.Errorf("%q: %v", magic, found)
		}
	}
}

func TestPathPrefixFindsTheFilter(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "shout"), []byte("#!/bin/sh\ntr a-z A-Z\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	c := newFilters(t, schema.Values{optionCompress: "shout"}, dir)
	if err := c.Compress(t.Context(), compress.Options{}, &out, strings.NewReader("quiet")); err != nil || out.String() != "QUIET" {
		t.Errorf("output %q, error %v", out.String(), err)
	}
}
