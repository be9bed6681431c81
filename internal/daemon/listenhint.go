package daemon

import (
	"errors"
	"net"
	"os"
	"syscall"

	"highwater/api"
)

// listenHint is the next act after a listener failed to open. setting names the address, for people.
func listenHint(err error, setting string) string {
	var name *net.DNSError
	act := "does a second program listen at the address?"
	switch {
	case errors.Is(err, api.ErrNotSocket):
		act = "move the file away, or choose another path."
	case errors.Is(err, os.ErrNotExist):
		act = "make the directory of the socket, for the user of the daemon."
	case errors.Is(err, os.ErrPermission):
		act = "the user of the daemon may not listen at the address: choose a port above 1023, or a directory of the user."
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		act = "no interface of this machine has the address now: is the network up?"
	case errors.As(err, &name):
		act = "the name has no address: choose an address in numbers."
	}
	return act + " see " + setting
}
