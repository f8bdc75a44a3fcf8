package main

import (
	"io"
	"strconv"

	"github.com/dsnet/compress/bzip2"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"
)

// format is a way to compress a file. All of them are those of the standard tools.
type format struct {
	name, short string
	// Levels are those of Barman's compression_level; numbers outside are clamped.
	min, max, low, medium, high int
	writer                      func(w io.Writer, level int) (io.WriteCloser, error)
}

var formats = [...]format{
	{"gzip", "z", 1, 9, 1, 6, 9, newGzip},
	{"bzip2", "j", 1, 9, 1, 5, 9, newBzip2},
	{"xz", "", 1, 9, 1, 3, 5, newXZ},
	{"snappy", "", 0, 0, 0, 0, 0, newSnappy},
	{"zstd", "", -22, 22, 1, 4, 9, newZstd},
	{"lz4", "", 0, 16, 0, 6, 10, newLZ4},
}

// number is what a level means to the format.
func (f *format) number(l level) int {
	switch l {
	case "low":
		return f.low
	case "medium":
		return f.medium
	case "high":
		return f.high
	}
	n, _ := strconv.Atoi(string(l)) // checked when the option was read
	return min(max(n, f.min), f.max)
}

// gzipEffort maps gzip's levels to the library's, as the plugin of that name does.
var gzipEffort = [10]int{1: 2, 2: 3, 3: 4, 4: 5, 5: 6, 6: 6, 7: 7, 8: 8, 9: 8}

func newGzip(w io.Writer, level int) (io.WriteCloser, error) {
	return gzip.NewWriterLevel(w, gzipEffort[level])
}

func newBzip2(w io.Writer, level int) (io.WriteCloser, error) {
	return bzip2.NewWriter(w, &bzip2.WriterConfig{Level: level})
}

// xzDictionary are the dictionary sizes of xz's presets, as powers of two.
var xzDictionary = [10]int{1: 20, 2: 21, 3: 22, 4: 22, 5: 23, 6: 23, 7: 24, 8: 25, 9: 26}

func newXZ(w io.Writer, level int) (io.WriteCloser, error) {
	return xz.WriterConfig{DictCap: 1 << xzDictionary[level]}.NewWriter(w)
}

func newSnappy(w io.Writer, _ int) (io.WriteCloser, error) {
	return s2.NewWriter(w, s2.WriterSnappyCompat(), s2.WriterConcurrency(1)), nil
}

// newZstd maps zstd's levels to the library's four, as the plugin of that name does.
func newZstd(w io.Writer, level int) (io.WriteCloser, error) {
	effort := zstd.SpeedBestCompression
	switch {
	case level < 5:
		effort = zstd.SpeedFastest
	case level < 7:
		effort = zstd.SpeedDefault
	case level < 9:
		effort = zstd.SpeedBetterCompression
	}
	return zstd.NewWriter(w, zstd.WithEncoderLevel(effort), zstd.WithEncoderConcurrency(1), zstd.WithZeroFrames(true))
}

// newLZ4 maps lz4's levels to the library's, as the plugin of that name does.
func newLZ4(w io.Writer, level int) (io.WriteCloser, error) {
	effort := lz4.Level9
	switch {
	case level < 7:
		effort = lz4.CCompatFast
	case level < 13:
		effort = lz4.Level1
	}
	z := lz4.NewWriter(w)
	return z, z.Apply(lz4.CompressionLevelOption(effort), lz4.BlockSizeOption(lz4.Block64Kb),
		lz4.ChecksumOption(true), lz4.ConcurrencyOption(1))
}
