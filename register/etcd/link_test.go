package etcd_test

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/certs/certstest"
	"highwater/register/etcd"
	"highwater/test/harness"
)

// authorities writes the file of an authority, and gives a server's certificate of another authority.
func authorities(t *testing.T) (file string, foreign tls.Certificate) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "ca.pem")
	certstest.Put(t, file, certstest.CertPEM(certstest.New(t, "register").Cert))
	return file, certstest.New(t, "another").Issue("server", time.Now().AddDate(1, 0, 0), net.IPv4(127, 0, 0, 1))
}

// ends accepts connections, and ends them; count is the number of connections.
func ends(t *testing.T) (address string, count *atomic.Int32) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	count = &atomic.Int32{}
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			count.Add(1)
			_ = c.Close() // nothing was written
		}
	}()
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		<-over
	})
	return l.Addr().String(), count
}

// TestTheCauseOfASilence asks members in wrong places: the client library tells of a time-out only.
func TestTheCauseOfASilence(t *testing.T) {
	t.Parallel()
	ca, foreign := authorities(t)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	stranger := httptest.NewUnstartedServer(http.NotFoundHandler())
	stranger.TLS = &tls.Config{Certificates: []tls.Certificate{foreign}}
	stranger.EnableHTTP2, stranger.Config.ErrorLog = true, slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	stranger.StartTLS()
	t.Cleanup(stranger.Close)
	closed, _ := ends(t)
	r, err := etcd.Open(etcd.Config{
		Endpoints: []string{
			"https://" + harness.Address(t), "https://" + plain.Listener.Addr().String(), stranger.URL, "http://" + closed,
		},
		Key: "/highwater/away", TLS: &etcd.TLS{CA: ca},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	members := r.Survey(t.Context())
	for i, want := range []string{
		"connection refused", "does not look like a TLS handshake", "signed by unknown authority",
		"the member ended the connection",
	} {
		require.ErrorContains(t, members[i].Err, "no answer within 1s: ")
		require.ErrorContains(t, members[i].Err, want)
	}
}

// TestMembersWithOneFaultShareASentence wants a fault in a single line.
func TestMembersWithOneFaultShareASentence(t *testing.T) {
	t.Parallel()
	gone := "http://" + harness.Address(t)
	r, err := etcd.Open(etcd.Config{Endpoints: []string{gone + "/", gone}, Key: "/highwater/away"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	_, err = r.Read(t.Context())
	require.ErrorContains(t, err, gone+"/, "+gone+": no answer within 1s: dial tcp")
	require.NotContains(t, err.Error(), "\n")
}

// TestAMemberIsDialledSoonAgain counts the connections to a member that is away. The library's own pauses grow to two
// minutes: a bakery would wait for so long once the members are back.
func TestAMemberIsDialledSoonAgain(t *testing.T) {
	t.Parallel()
	address, count := ends(t)
	r, err := etcd.Open(etcd.Config{Endpoints: []string{"http://" + address}, Key: "/highwater/away"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	require.Eventually(t, func() bool {
		_, err := r.Read(t.Context())
		return err != nil && count.Load() >= 6
	}, 8*time.Second, time.Millisecond)
}
