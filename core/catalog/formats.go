package catalog

import "bytes"

// Format is a way of encoding a file that the archive may hold.
type Format struct {
	// Name is what is recorded for a file that was recognised by its first bytes.
	Name string
	// Also are other names under which Barman records files of the same format, because it records the configured
	// program.
	Also []string
	// Magic is what every file of the format begins with.
	Magic []byte
}

// KnownFormats are the compressions that Barman knows, in the order in which it compares them; the first match wins.
// Others come from plugins.
var KnownFormats = []Format{
	{Name: "bzip2", Also: []string{"pybzip2"}, Magic: []byte("BZh")},
	{Name: "gzip", Also: []string{"pigz", "pygzip"}, Magic: []byte{0x1f, 0x8b, 0x08}},
	{Name: "lz4", Magic: []byte{0x04, 0x22, 0x4d, 0x18}},
	{Name: "snappy", Magic: []byte("\xff\x06\x00\x00sNaPpY")},
	{Name: "xz", Magic: []byte{0xfd, '7', 'z', 'X', 'Z', 0x00}},
	{Name: "zstd", Magic: []byte{0x28, 0xb5, 0x2f, 0xfd}},
}

// HeadSize is how many bytes from the start of a file IdentifyFormat and IsPGPEncrypted want to see.
const HeadSize = 16

// IdentifyFormat returns the name of the known format of a file that begins with head; empty for none.
func IdentifyFormat(head []byte) string {
	for _, f := range KnownFormats {
		if bytes.HasPrefix(head, f.Magic) {
			return f.Name
		}
	}
	return ""
}

// SameFormat tells whether two recorded names of a compression mean the same format: gzip, pigz and pygzip do.
func SameFormat(a, b string) bool { return FormatFamily(a) == FormatFamily(b) }

// FormatFamily is the name of the format that a recorded name stands for: gzip for pigz. Other names stand for
// themselves.
func FormatFamily(name string) string {
	for _, f := range KnownFormats {
		for _, also := range f.Also {
			if name == also {
				return f.Name
			}
		}
	}
	return name
}

// IsPGPEncrypted tells whether a file that begins with head is an encrypted OpenPGP message in binary form, as gpg
// --encrypt writes it (RFC 9580: it begins with a packet that holds a session key).
func IsPGPEncrypted(head []byte) bool {
	if len(head) < 2 || head[0]&0x80 == 0 {
		return false
	}
	tag, body := int(head[0]>>2&0x0f), 0
	if head[0]&0x40 != 0 {
		tag = int(head[0] & 0x3f)
		switch first := head[1]; {
		case first < 192:
			body = 2
		case first < 224:
			body = 3
		case first == 255:
			body = 6
		default:
			return false // a session key is never sent in parts
		}
	} else {
		lengthBytes := []int{1, 2, 4, 0}[head[0]&0x03]
		if lengthBytes == 0 {
			return false
		}
		body = 1 + lengthBytes
	}
	if len(head) <= body {
		return false
	}
	const (
		publicKeySession = 1
		symmetricSession = 3
	)
	version := head[body]
	return tag == publicKeySession && (version == 3 || version == 6) ||
		tag == symmetricSession && version >= 4 && version <= 6
}
