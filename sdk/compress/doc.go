// Package compress is what an author of a compression plugin implements, and the typed client of such a plugin.
//
// A compressor is a stream transformer in one or more formats. The SDK opens and creates the files, counts, computes the
// digest and reports errors; a compressor only encodes from a reader to a writer:
//
//	type zstd struct{}
//
//	func (zstd) Formats() []compress.Format { return []compress.Format{{ID: "zstd", Magic: …}} }
//	func (zstd) Compress(ctx context.Context, o compress.Options, dst io.Writer, src io.Reader) error { … }
//	func (zstd) Decompress(ctx context.Context, o compress.Options, dst io.Writer, src io.Reader) error { … }
//
// All methods may be called at the same time from several goroutines.
package compress
