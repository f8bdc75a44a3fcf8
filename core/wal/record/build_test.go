package record

import (
	"encoding/binary"
	"hash/crc32"
)

var binaryOrder = binary.LittleEndian

// seal writes the checksum of a record.
func seal(rec []byte) {
	crc := crc32.Update(0, castagnoli(), rec[headerSize:])
	crc = crc32.Update(crc, castagnoli(), rec[:headerSize-4])
	binaryOrder.PutUint32(rec[headerSize-4:], crc)
}
