package usb

// Items of a HID report descriptor (Device Class Definition for HID 1.11, 6.2.2): a prefix byte of tag, type and
// size, followed by data.
const (
	itemKind      = 0xfc // tag and type
	itemUsagePage = 0x04
	itemUsage     = 0x08
	itemLong      = 0xfe
)

// FirstUsage is the usage page and the usage at the beginning of a HID report descriptor: the purpose of the
// interface. The result is 0, 0 when the descriptor does not say.
func FirstUsage(report []byte) (page, usage uint16) {
	for len(report) > 0 {
		prefix := report[0]
		if prefix == itemLong {
			return 0, 0
		}
		size := int(prefix & 3)
		if size == 3 {
			size = 4
		}
		if len(report) < 1+size {
			return 0, 0
		}
		var v uint32
		for i, b := range report[1 : 1+size] {
			v |= uint32(b) << (8 * i)
		}
		switch prefix & itemKind {
		case itemUsagePage:
			page = uint16(v)
		case itemUsage:
			if size == 4 { // the upper half is the page
				page = uint16(v >> 16)
			}
			return page, uint16(v)
		}
		report = report[1+size:]
	}
	return 0, 0
}
