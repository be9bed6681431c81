package bootmarks

import "testing"

// FuzzRecords reads anything as a runtime file of the run that its first record names.
func FuzzRecords(f *testing.F) {
	record := make([]byte, recordSize)
	f.Add(record)
	f.Add(append(record, record...))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, all []byte) {
		var id [idLen]byte
		copy(id[:], all)
		marks, _, err := decodeRecords(all, id)
		if err == nil && len(marks)*recordSize > len(all) {
			t.Fatal("more records than bytes")
		}
	})
}
