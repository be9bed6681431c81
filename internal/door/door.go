// Package door lets clients in or turns clients away, before a key is known, and counts the clients turned away.
package door

import (
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Cause is the likely reason why a client was turned away, in one word.
type Cause string

// The causes.
const (
	WrongProtocol   Cause = "wrong_protocol"  // a client of another protocol, or of another scheme
	WrongPath       Cause = "wrong_path"      // nothing is at the path of the request
	WrongAddress    Cause = "wrong_address"   // the address tz1… of the request cannot be read
	UnknownKey      Cause = "unknown_key"     // no device holds the key of the requested public key
	Undecodable     Cause = "undecodable"     // the request cannot be read
	Unauthenticated Cause = "unauthenticated" // the request is not signed by an authorized key
	WebPage         Cause = "web_page"        // the request is one of a web page, or for another host
	NotAllowed      Cause = "not_allowed"     // the address of the client is not in allow_from
	TooMany         Cause = "too_many"        // the client asks for the key too often
)

// Causes are all causes, for metrics.
var Causes = []Cause{
	WrongProtocol, WrongPath, WrongAddress, UnknownKey, Undecodable, Unauthenticated, WebPage, NotAllowed, TooMany,
}

// Config configures a door. The zero value lets everybody in, and says nothing.
type Config struct {
	From  []netip.Prefix // addresses of permitted clients; empty: all. Clients of a unix socket are always permitted
	Rate  float64        // requests a second of each client for each key; zero: no limit
	Burst int            // requests at once above Rate
	Log   *slog.Logger
	Count func(Cause) // called for each client turned away; nil: nobody counts
}

// Door is the door of all listeners for bakers.
type Door struct {
	Config
	mu     sync.Mutex
	said   map[visitor]*saying
	budget map[visitor]*rate.Limiter
}

// visitor is a client with the cause of its refusal, or with the key of its request.
type visitor struct{ client, what string }

// saying is the rate of a visitor's lines in the log, and the number of turns without a line.
type saying struct {
	next   time.Time
	silent int
}

// Bounds of the memory of a door, and the time between two lines about one visitor.
const (
	maxVisitors = 1024
	sayEvery    = time.Minute
)

// New gives a door.
func New(cfg Config) *Door {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Count == nil {
		cfg.Count = func(Cause) {}
	}
	cfg.Burst = max(cfg.Burst, 1)
	return &Door{Config: cfg, said: map[visitor]*saying{}, budget: map[visitor]*rate.Limiter{}}
}

// Client is the name of a client in the log and for limits: the address without its port, an IPv6 address with its
// network of 64 bits only; "unix" for a unix socket.
func Client(addr net.Addr) string {
	if addr == nil {
		return "unix"
	}
	return ClientOf(addr.String())
}

// ClientOf is Client, of the text of an address.
func ClientOf(addr string) string {
	ip, ok := parse(addr)
	if !ok {
		return "unix"
	}
	if ip.Is6() {
		if p, err := ip.Prefix(64); err == nil && !ip.IsLoopback() {
			return p.String()
		}
	}
	return ip.String()
}

// parse gives the address of a text HOST:PORT; IPv4 within IPv6 is IPv4.
func parse(addr string) (netip.Addr, bool) {
	at, err := netip.ParseAddrPort(addr)
	return at.Addr().Unmap().WithZone(""), err == nil
}

// Admits tells whether a client at an address may connect.
func (d *Door) Admits(addr net.Addr) bool {
	if len(d.From) == 0 || addr == nil {
		return true
	}
	if _, unix := addr.(*net.UnixAddr); unix {
		return true
	}
	ip, ok := parse(addr.String())
	for _, p := range d.From {
		if ok && p.Contains(ip) {
			return true
		}
	}
	return false
}

// Allows tells whether a client may ask for a key now, and counts the request.
func (d *Door) Allows(client, key string) bool {
	if d.Rate <= 0 {
		return true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	v := visitor{client, key}
	l, ok := d.budget[v]
	if !ok {
		d.forget()
		l = rate.NewLimiter(rate.Limit(d.Rate), d.Burst)
		d.budget[v] = l
	}
	return l.Allow()
}

// forget makes room for one more limiter. A limiter with all of its tokens is as good as a new limiter. With none of
// those, any goes. The caller holds d.mu.
func (d *Door) forget() {
	if len(d.budget) < maxVisitors {
		return
	}
	for v, l := range d.budget {
		if l.Tokens() >= float64(d.Burst) {
			delete(d.budget, v)
		}
	}
	for v := range d.budget {
		if len(d.budget) < maxVisitors {
			return
		}
		delete(d.budget, v)
	}
}

// TurnAway counts a client turned away, and writes a line: the first for a client and a cause, then at most one a
// minute with the number of those without a line.
func (d *Door) TurnAway(client string, cause Cause, text string, more ...any) {
	d.Count(cause)
	silent, say := d.say(visitor{client, string(cause)}, time.Now())
	if !say {
		return
	}
	args := append([]any{"cause", string(cause), "client", client, "error", text}, more...)
	if silent > 0 {
		args = append(args, "unsaid", silent)
	}
	d.Log.Warn("client turned away", args...)
}

// say tells whether a line is due, and how many were left out before.
func (d *Door) say(v visitor, now time.Time) (silent int, due bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, known := d.said[v]; !known && len(d.said) >= maxVisitors {
		maps.DeleteFunc(d.said, func(_ visitor, s *saying) bool { return now.After(s.next) })
		if len(d.said) >= maxVisitors {
			v.client = "others" // a flood of addresses has one line for each cause
		}
	}
	s, known := d.said[v]
	if known && now.Before(s.next) {
		s.silent++
		return 0, false
	}
	if known {
		silent = s.silent
	}
	d.said[v] = &saying{next: now.Add(sayEvery)}
	return silent, true
}
