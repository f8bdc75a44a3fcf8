package wal

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func encode(h PageHeader, long int) []byte {
	var order binary.ByteOrder = binary.LittleEndian
	if h.BigEndian {
		order = binary.BigEndian
	}
	page := make([]byte, 8192)
	order.PutUint16(page, h.Magic)
	order.PutUint16(page[2:], h.Info)
	order.PutUint32(page[4:], uint32(h.Timeline))
	order.PutUint64(page[8:], uint64(h.Address))
	order.PutUint32(page[16:], h.Remaining)
	order.PutUint64(page[long:], uint64(h.SystemID))
	order.PutUint32(page[long+8:], uint32(h.SegmentSize))
	order.PutUint32(page[long+12:], h.BlockSize)
	return page
}

func header15() PageHeader {
	return PageHeader{
		Magic: 0xD110, Info: InfoLongHeader, Timeline: 1, Address: 0x2000000, SystemID: 7372018234567890123,
		SegmentSize: 16 * mib, BlockSize: 8192,
	}
}

func TestDecodePageHeaderOfEveryPlatform(t *testing.T) {
	continued := header15()
	continued.Info |= InfoContinued
	continued.Remaining = 77
	big := continued
	big.BigEndian = true
	for name, tt := range map[string]struct {
		header PageHeader
		long   int
	}{
		"64-bit little endian":      {header15(), 24},
		"continued record":          {continued, 24},
		"big endian":                {big, 24},
		"32-bit x86, no padding":    {continued, 20},
		"version of the future":     {PageHeader{Magic: 0xD120, Info: 2, Address: 0, SegmentSize: 1 << 30, BlockSize: 65536}, 24},
		"smallest segment and page": {PageHeader{Magic: 0xD097, Info: 6, SystemID: 1, SegmentSize: 1 << 20, BlockSize: 1024}, 24},
	} {
		got, err := DecodePageHeader(encode(tt.header, tt.long)[:PageHeaderSize])
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if diff := cmp.Diff(tt.header, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
}

func TestDecodePageHeaderRefusesOtherFiles(t *testing.T) {
	change := func(fn func(*PageHeader)) []byte {
		h := header15()
		fn(&h)
		return encode(h, 24)
	}
	for name, tt := range map[string]struct {
		page []byte
		want string
	}{
		"empty":         {nil, "only 0 bytes"},
		"short":         {encode(header15(), 24)[:PageHeaderSize-1], "only 39 bytes"},
		"zeros":         {make([]byte, 8192), "begins with zeros"},
		"gzip":          {append([]byte{0x1f, 0x8b, 8, 0}, make([]byte, 60)...), "1f 8b"},
		"text":          {[]byte(strings.Repeat("hello world\n", 10)), "68 65"},
		"short header":  {change(func(h *PageHeader) { h.Info = InfoContinued }), "damaged"},
		"unknown flags": {change(func(h *PageHeader) { h.Info |= 0x40 }), "damaged"},
		"segment size":  {change(func(h *PageHeader) { h.SegmentSize = 3 * mib }), "damaged"},
		"block size":    {change(func(h *PageHeader) { h.BlockSize = 100 }), "damaged"},
	} {
		_, err := DecodePageHeader(tt.page)
		if !errors.Is(err, ErrNotWAL) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

func TestPageMagicKnowsEveryVersion(t *testing.T) {
	for major := 10; major <= 18; major++ {
		magic, ok := PageMagic(major)
		if got := (PageHeader{Magic: magic}).MajorVersion(); !ok || got != major {
			t.Errorf("version %d: magic %04X, which is that of version %d", major, magic, got)
		}
	}
	if _, ok := PageMagic(9); ok {
		t.Error("version 9 has no magic here")
	}
}

func TestParseSystemID(t *testing.T) {
	for text, want := range map[string]SystemID{
		"7372018234567890123": 7372018234567890123, "18446744073709551615": 1<<64 - 1, "-1": 1<<64 - 1, "0": 0,
	} {
		if got, err := ParseSystemID(text); err != nil || got != want {
			t.Errorf("ParseSystemID(%q) = %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "x", "1 ", "0x10", "1.5", "99999999999999999999"} {
		if got, err := ParseSystemID(text); !errors.Is(err, ErrInvalidSystemID) {
			t.Errorf("ParseSystemID(%q) = %v, %v", text, got, err)
		}
	}
}

func FuzzDecodePageHeader(f *testing.F) {
	f.Add(encode(header15(), 24)[:64])
	f.Add(encode(header15(), 20)[:PageHeaderSize])
	f.Add(make([]byte, 100))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, page []byte) {
		h, err := DecodePageHeader(page)
		if err != nil {
			if !errors.Is(err, ErrNotWAL) {
				t.Fatalf("error of another kind: %v", err)
			}
			return
		}
		if h.SegmentSize.Validate() != nil || h.Info&InfoLongHeader == 0 {
			t.Fatalf("implausible header accepted: %+v", h)
		}
		name, err := ParseFileName(SegmentForLSN(h.Timeline, h.Address, h.SegmentSize).String())
		if err != nil {
			t.Fatal(err)
		}
		_, err = Verify(page, int64(h.SegmentSize), name, Expect{SystemID: h.SystemID, Version: h.MajorVersion()})
		if (err == nil) != (h.Address.Offset(h.SegmentSize) == 0) {
			t.Fatalf("Verify of %+v as %s: %v", h, name, err)
		}
	})
}
