package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/barman-go/barman/sdk/compress"
	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/internal/wire"
	compressv1 "github.com/barman-go/barman/sdk/pb/barman/compress/v1"
)

// compressService serves a compress.Compressor: it opens and creates the files, so that the author only transforms
// streams.
type compressService struct {
	compressv1.UnimplementedCompressorServer
	instances *instances
	coder     *fileCoder
}

func newCompressService(in *instances) *compressService {
	return &compressService{instances: in, coder: newFileCoder()}
}

func (s *compressService) find(id string) (*instance, compress.Compressor, error) {
	inst, err := s.instances.get(id)
	if err != nil {
		return nil, nil, err
	}
	return inst, inst.object.(compress.Compressor), nil
}

// Describe lists the formats.
func (s *compressService) Describe(
	_ context.Context, r *compressv1.DescribeRequest,
) (*compressv1.DescribeResponse, error) {
	_, c, err := s.find(r.GetInstance())
	if err != nil {
		return nil, err
	}
	resp := &compressv1.DescribeResponse{}
	for _, f := range c.Formats() {
		resp.Formats = append(resp.Formats, formatToWire(f))
	}
	return resp, nil
}

// CompressFile encodes a file.
func (s *compressService) CompressFile(
	ctx context.Context, r *compressv1.CompressFileRequest,
) (*compressv1.CompressFileResponse, error) {
	inst, c, err := s.find(r.GetInstance())
	if err != nil {
		return nil, err
	}
	if err := needAbsolute(r.GetSource(), r.GetDestination()); err != nil {
		return nil, err
	}
	ctx, end := inst.begin(ctx, r.GetOp())
	defer end()
	f, err := pickFormat(c, r.GetFormat(), "compress", func(f compress.Format) bool { return f.CanCompress })
	if err != nil {
		return &compressv1.CompressFileResponse{Diagnostics: wire.Diagnostics(err)}, nil
	}
	level, err := f.PickLevel(int(r.GetLevel()))
	if err != nil {
		return &compressv1.CompressFileResponse{Diagnostics: wire.Diagnostics(err)}, nil
	}
	result, err := s.coder.encode(ctx, c, compress.Options{Format: f.ID, Level: level}, r.GetSource(), r.GetDestination())
	if err != nil {
		return &compressv1.CompressFileResponse{Diagnostics: wire.Diagnostics(err)}, nil
	}
	return &compressv1.CompressFileResponse{Result: result}, nil
}

// DecompressFile decodes a file.
func (s *compressService) DecompressFile(
	ctx context.Context, r *compressv1.DecompressFileRequest,
) (*compressv1.DecompressFileResponse, error) {
	inst, c, err := s.find(r.GetInstance())
	if err != nil {
		return nil, err
	}
	if err := needAbsolute(r.GetSource(), r.GetDestination()); err != nil {
		return nil, err
	}
	ctx, end := inst.begin(ctx, r.GetOp())
	defer end()
	result, err := s.decode(ctx, c, r.GetFormat(), r.GetSource(), r.GetDestination())
	if err != nil {
		return &compressv1.DecompressFileResponse{Diagnostics: wire.Diagnostics(err)}, nil
	}
	return &compressv1.DecompressFileResponse{Result: result}, nil
}

// TestFile decodes a file to nowhere.
func (s *compressService) TestFile(
	ctx context.Context, r *compressv1.TestFileRequest,
) (*compressv1.TestFileResponse, error) {
	inst, c, err := s.find(r.GetInstance())
	if err != nil {
		return nil, err
	}
	if err := needAbsolute(r.GetSource()); err != nil {
		return nil, err
	}
	ctx, end := inst.begin(ctx, r.GetOp())
	defer end()
	result, err := s.decode(ctx, c, r.GetFormat(), r.GetSource(), "")
	if err != nil {
		return &compressv1.TestFileResponse{Diagnostics: wire.Diagnostics(err)}, nil
	}
	return &compressv1.TestFileResponse{Result: result}, nil
}

func (s *compressService) decode(
	ctx context.Context, c compress.Compressor, format, source, destination string,
) (*compressv1.FileResult, error) {
	f, err := pickFormat(c, format, "decompress", func(f compress.Format) bool { return f.CanDecompress })
	if err != nil {
		return nil, err
	}
	result, err := s.coder.decode(ctx, c, f, source, destination)
	if err != nil && errors.Is(err, io.ErrUnexpectedEOF) {
		// Every decoder reports a cut file this way; say so in words, with the code that core looks for.
		return nil, fmt.Errorf("%s: %w", source, diag.Diagnostic{
			Code: diag.CodeCorrupt, Summary: "the file is cut short or damaged", Detail: err.Error(),
		})
	}
	return result, err
}

// pickFormat finds a format by its id; an empty id means the first that can do it.
func pickFormat(c compress.Compressor, id, verb string, can func(compress.Format) bool) (compress.Format, error) {
	for _, f := range c.Formats() {
		if (id == "" || f.ID == id) && can(f) {
			return f, nil
		}
	}
	return compress.Format{}, diag.Diagnostic{
		Code: diag.CodeInvalidOption, Summary: fmt.Sprintf("this plugin cannot %s format %q", verb, id),
	}
}

func needAbsolute(paths ...string) error {
	for _, p := range paths {
		if !filepath.IsAbs(p) {
			return status.Errorf(codes.InvalidArgument, "path %q is not absolute", p)
		}
	}
	return nil
}

func formatToWire(f compress.Format) *compressv1.Format {
	out := &compressv1.Format{
		Id: f.ID, Magic: f.Magic, MagicOffset: f.MagicOffset, Extension: f.Extension,
		CanCompress: f.CanCompress, CanDecompress: f.CanDecompress,
	}
	if l := f.Levels; l != nil {
		out.Levels = &compressv1.Levels{
			Minimum: int32(l.Min), Maximum: int32(l.Max), Low: int32(l.Low), Medium: int32(l.Medium), High: int32(l.High),
		}
	}
	return out
}
