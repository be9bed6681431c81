package hwm

// Reseal gives a record another version and the checksum that fits.
func Reseal(dbKey []byte, version byte, record []byte) []byte {
	if len(record) < 1+crcLen {
		return record
	}
	b := append([]byte{version}, record[1:len(record)-crcLen]...)
	return appendCRC(dbKey, b)
}
