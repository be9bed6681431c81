#!/bin/bash
# gousb 1.1.3: a device that is not plugged in is no error.
#
# Guess: OpenDeviceWithVIDPID of a device that is not there gives an error, such as libusb's "not found" or "no device".
# Seen:  no device and no error. The usual "if err != nil" goes on with a nil device.
# So:    code that opens a hardware wallet by its ids looks at the device first; "not plugged in" is a case of its own.
#
# Needs go, a C compiler, pkg-config and libusb-1.0-0-dev, and a machine whose USB libusb may read. The product id belongs to no device.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

cat >expected <<'END'
gousb v1.1.3
by its ids: no device, error <nil>
by a filter: 0 devices, error <nil>
END

cat >main.go <<'END'
package main

import (
	"fmt"

	"github.com/google/gousb"
)

func main() {
	ctx := gousb.NewContext()
	defer ctx.Close()
	device, err := ctx.OpenDeviceWithVIDPID(0x2c97, 0x0fff)
	if device == nil {
		fmt.Printf("by its ids: no device, error %v\n", err)
	}
	devices, err := ctx.OpenDevices(func(d *gousb.DeviceDesc) bool { return d.Vendor == 0x2c97 && d.Product == 0x0fff })
	fmt.Printf("by a filter: %d devices, error %v\n", len(devices), err)
}
END
go mod init finding 2>log || { cat log >&2; exit 1; }
go get github.com/google/gousb@v1.1.3 2>log || { cat log >&2; exit 1; }
{
  go list -m -f 'gousb {{.Version}}' github.com/google/gousb
  GOFLAGS=-mod=mod CGO_ENABLED=1 go run .
} >seen
cat seen
diff -u expected seen
