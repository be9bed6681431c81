package door

import (
	"io"
	"net"
	"time"
)

// Stranger is a client of another protocol: the answer in the client's own protocol, and the line of the log.
type Stranger struct {
	Answer []byte // empty: the protocol has none
	Text   string
}

// Judge recognises a client of another protocol by the first byte; nil: the client is no stranger.
type Judge func(first byte) *Stranger

// Listener lets clients with permitted addresses in, and sends clients of other protocols away at their first bytes.
func (d *Door) Listener(l net.Listener, judge Judge) net.Listener { return &listener{l, d, judge} }

type listener struct {
	net.Listener
	door  *Door
	judge Judge
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.door.Admits(c.RemoteAddr()) {
			return &conn{Conn: c, l: l}, nil
		}
		l.door.TurnAway(Client(c.RemoteAddr()), NotAllowed, "the address is not in server.allow_from")
		_ = c.Close()
	}
}

// conn is a connection with a look at its first byte.
type conn struct {
	net.Conn
	l    *listener
	seen bool
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.seen || n == 0 {
		return n, err
	}
	c.seen = true
	s := c.l.judge(p[0])
	if s == nil {
		return n, err
	}
	c.l.door.TurnAway(Client(c.RemoteAddr()), WrongProtocol, s.Text)
	c.bye(s.Answer)
	return 0, io.EOF
}

// Bounds of a farewell.
const (
	byeTime  = 500 * time.Millisecond
	byeBytes = 64 << 10
)

// bye sends the last answer of a connection. A close with unread bytes would take the answer back from the client:
// hence further bytes from the client are read for a moment.
func (c *conn) bye(answer []byte) { Bye(c.Conn, answer) }

// Bye sends the last answer of a connection; the caller closes the connection afterwards.
func Bye(c net.Conn, answer []byte) {
	if err := c.SetDeadline(time.Now().Add(byeTime)); err != nil || len(answer) == 0 {
		return
	}
	if _, err := c.Write(answer); err != nil {
		return
	}
	half, ok := c.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, c, byeBytes)
}
