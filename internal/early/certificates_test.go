package early

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/certs"
)

// TestCertificatesWithWrongDates: a warning speaks of the end as past or to come, and tells of a begin to come.
func TestCertificatesWithWrongDates(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	year, x := 365*24*time.Hour, "server.tls_cert: x.pem "
	for name, c := range map[string]struct {
		begins, ends time.Time
		want         string
	}{
		"ended": {
			now.Add(-year), now.Add(-time.Hour),
			x + "ended at 2026-01-02 02:04:05Z: connections are refused",
		},
		"ends soon": {
			now.Add(-year), now.Add(time.Hour),
			x + "ends at 2026-01-02 04:04:05Z: connections are refused from then on",
		},
		"begins then": {
			now.Add(time.Hour), now.Add(year),
			x + "begins at 2026-01-02 04:04:05Z: connections are refused until then",
		},
	} {
		w := &Watch{from: Sources{Certificates: func() []certs.Row {
			return []certs.Row{{Setting: "server.tls_cert", File: "x.pem", Begins: c.begins, Ends: c.ends}}
		}}}
		got := w.certificates(now)
		require.Len(t, got, 1, name)
		require.Equal(t, CertificateNow, got[0].name, name)
		require.Equal(t, c.want, got[0].text, name)
	}
	w := &Watch{from: Sources{Certificates: func() []certs.Row {
		return []certs.Row{{Begins: now.Add(-time.Hour), Ends: now.Add(year)}}
	}}}
	require.Empty(t, w.certificates(now))
}
