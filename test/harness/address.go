package harness

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"syscall"
)

// The ports of FreeAddress lie below the ports of outgoing connections (32768 to 60999): no client of the test takes a
// port before the server does.
const (
	firstPort = 10_000
	ports     = 20_000
)

// FreeAddress gives a loopback address without a listener.
func FreeAddress(ctx context.Context) (string, error) {
	for {
		address := fmt.Sprintf("%s:%d", loopback, firstPort+rand.IntN(ports)) //nolint:gosec // any port is as good
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return "", err
		}
		return address, l.Close()
	}
}

// test is the part of a *testing.T used by Address. Programs that are no tests share this package.
type test interface {
	Helper()
	Context() context.Context
	Fatal(args ...any)
}

// Address gives a test a loopback address without a listener.
func Address(t test) string {
	t.Helper()
	address, err := FreeAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return address
}
