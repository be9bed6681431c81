package actor

import (
	"net"

	"golang.org/x/sys/unix"
)

// Of is the user of the process at the other end of a connection; false: the connection is no unix socket.
func Of(c net.Conn) (Actor, bool) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return Actor{}, false
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return Actor{}, false
	}
	var cred *unix.Ucred
	var failed error
	if err = raw.Control(func(fd uintptr) {
		cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil || failed != nil {
		return Actor{}, false
	}
	return Actor{cred.Uid, loginOf(int(cred.Pid))}, true
}
