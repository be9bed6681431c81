package door_test

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/door"
)

func TestAdmits(t *testing.T) {
	d := door.New(door.Config{From: []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::1/128"),
	}})
	for text, want := range map[string]bool{
		"10.1.2.3:5": true, "11.1.2.3:5": false, "[2001:db8::1]:5": true, "[2001:db8::2]:5": false,
		"[::ffff:10.1.2.3]:5": true,
	} {
		addr := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(text))
		require.Equal(t, want, d.Admits(addr), text)
		require.True(t, door.New(door.Config{}).Admits(addr))
	}
	require.True(t, d.Admits(&net.UnixAddr{Name: "/x", Net: "unix"}))
}

// TestAllows: each client has its own requests for each key, and gets new ones with time.
func TestAllows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{Rate: 2, Burst: 3})
		for range 3 {
			require.True(t, d.Allows("10.0.0.1", "tz1a"))
		}
		require.False(t, d.Allows("10.0.0.1", "tz1a"))
		require.True(t, d.Allows("10.0.0.1", "tz1b"))
		require.True(t, d.Allows("10.0.0.2", "tz1a"))
		time.Sleep(time.Second) //nolint:forbidigo // the clock of synctest
		require.True(t, d.Allows("10.0.0.1", "tz1a"))
		require.True(t, d.Allows("10.0.0.1", "tz1a"))
		require.False(t, d.Allows("10.0.0.1", "tz1a"))
		for i := range 5000 { // a flood of clients costs no more memory
			require.True(t, d.Allows(fmt.Sprint(i), "tz1a"))
		}
	})
}

// TestTurnAway: one line a minute for a client and a cause, with the number of those without one; a flood has few.
func TestTurnAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		counted := 0
		d := door.New(door.Config{Log: slog.New(slog.NewTextHandler(&out, nil)), Count: func(door.Cause) { counted++ }})
		for range 5 {
			d.TurnAway("10.0.0.1", door.WrongPath, "nothing there")
		}
		d.TurnAway("10.0.0.1", door.WebPage, "a page")
		require.Equal(t, 2, strings.Count(out.String(), "\n"))
		time.Sleep(2 * time.Minute) //nolint:forbidigo // the clock of synctest
		d.TurnAway("10.0.0.1", door.WrongPath, "nothing there")
		require.Contains(t, out.String(), "unsaid=4")
		require.Equal(t, 7, counted)
		out.Reset()
		for i := range 10_000 {
			d.TurnAway(fmt.Sprint(i), door.WrongPath, "nothing there")
		}
		require.Less(t, strings.Count(out.String(), "\n"), 1100)
	})
}

func TestClient(t *testing.T) {
	for text, want := range map[string]string{
		"10.1.2.3:5": "10.1.2.3", "[2001:db8:1:2:3::4]:5": "2001:db8:1:2::/64", "[::1]:9": "::1",
		"[::ffff:10.1.2.3]:5": "10.1.2.3", "@": "unix", "": "unix",
	} {
		require.Equal(t, want, door.ClientOf(text), text)
	}
}

// TestAClientFromElsewhere ends at once, and the listener goes on.
func TestAClientFromElsewhere(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test
	require.NoError(t, err)
	d := door.New(door.Config{From: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	l := d.Listener(inner, func(byte) *door.Stranger { return nil })
	accepted := make(chan error, 1)
	go func() { _, acceptErr := l.Accept(); accepted <- acceptErr }()
	c, err := net.Dial("tcp", inner.Addr().String()) //nolint:noctx // a test
	require.NoError(t, err)
	_, err = c.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	require.NoError(t, c.Close())
	require.NoError(t, l.Close())
	require.ErrorIs(t, <-accepted, net.ErrClosed)
}
