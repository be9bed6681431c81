package certs

import (
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/certs/certstest"
	"highwater/internal/logtest"
)

// rig is a directory with a pair and an authority, open.
type rig struct {
	*Files
	t   *testing.T
	dir string
	ca  *certstest.Authority
	log *logtest.Log
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), ca: certstest.New(t, "authority"), log: &logtest.Log{}}
	r.put("one")
	certstest.Put(t, r.path("ca.pem"), certstest.CertPEM(r.ca.Cert))
	r.open(r.path("cert.pem"), r.path("key.pem"))
	return r
}

func (r *rig) open(cert, key string) {
	r.t.Helper()
	var err error
	r.Files, err = Open(Names{
		CertSetting: "server.tls_cert", Cert: cert, Key: key, CASetting: "server.client_ca", CA: r.path("ca.pem"),
	}, slog.New(slog.NewTextHandler(r.log, nil)))
	require.NoError(r.t, err)
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

// put replaces the pair by a good one with a name.
func (r *rig) put(name string) {
	certstest.PutPair(r.t, r.dir, r.ca.Issue(name, time.Now().Add(time.Hour)))
}

// served is the name of the certificate that a handshake of now shows.
func (r *rig) served() string {
	r.t.Helper()
	cfg, err := r.Server().GetConfigForClient(nil)
	require.NoError(r.t, err)
	return cfg.Certificates[0].Leaf.Subject.CommonName
}

// later passes time for the files: each was changed long ago, so that only a further change is seen.
func (r *rig) later() {
	r.pair.mu.Lock()
	defer r.pair.mu.Unlock()
	r.pair.sure = true
}

func TestAReplacedPairIsShown(t *testing.T) {
	r := newRig(t)
	require.Equal(t, "one", r.served())
	r.later()
	r.put("two") // by renames
	require.Equal(t, "two", r.served())

	r.later()
	c := r.ca.Issue("three", time.Now().Add(time.Hour)) // in place
	require.NoError(t, os.WriteFile(r.path("cert.pem"), certstest.CertPEM(c), 0o600))
	require.NoError(t, os.WriteFile(r.path("key.pem"), certstest.KeyPEM(t, c), 0o600))
	require.Equal(t, "three", r.served())
	require.Empty(t, r.log.String(), "a renewal is no trouble")
}

// TestSwappedLinks: certbot leaves the names, and lets them lead to other files.
func TestSwappedLinks(t *testing.T) {
	r := newRig(t)
	for _, name := range []string{"archive1", "archive2"} {
		require.NoError(t, os.Mkdir(r.path(name), 0o700))
		certstest.PutPair(t, r.path(name), r.ca.Issue(name, time.Now().Add(time.Hour)))
	}
	lead := func(to string) {
		for _, name := range []string{"cert.pem", "key.pem"} {
			require.NoError(t, os.Symlink(r.path(to+"/"+name), r.path("next")))
			require.NoError(t, os.Rename(r.path("next"), r.path("live-"+name)))
		}
	}
	lead("archive1")
	r.open(r.path("live-cert.pem"), r.path("live-key.pem"))
	r.later()
	lead("archive2")
	require.Equal(t, "archive2", r.served())

	r.later() // the links stay, and the files that they lead to are replaced
	certstest.PutPair(t, r.path("archive2"), r.ca.Issue("archive3", time.Now().Add(time.Hour)))
	require.Equal(t, "archive3", r.served())
}

// TestAChangeInTheSameTick: a second change at the same time with the same size is seen too.
func TestAChangeInTheSameTick(t *testing.T) {
	r := newRig(t)
	k := r.pair
	require.False(t, k.sure, "files of just now may change once more without a trace")
	require.True(t, k.due(time.Now()))
	k.stamp(time.Now().Add(time.Hour))
	require.True(t, k.sure)
	require.False(t, k.due(time.Now()), "no reading without a change")
}

// TestABrokenPairKeepsTheOldOne, and is told once: not in the middle of a replacement, and at once when asked.
func TestABrokenPairKeepsTheOldOne(t *testing.T) {
	for name, damage := range map[string]func(r *rig){
		"no certificate": func(r *rig) { certstest.Put(t, r.path("cert.pem"), []byte("nothing")) },
		"foreign key": func(r *rig) {
			certstest.Put(t, r.path("key.pem"), certstest.KeyPEM(t, r.ca.Issue("x", time.Now())))
		},
		"half a file": func(r *rig) {
			certstest.Put(t, r.path("cert.pem"), certstest.CertPEM(r.ca.Issue("x", time.Now()))[:200])
		},
		"gone":  func(r *rig) { require.NoError(t, os.Remove(r.path("key.pem"))) },
		"ended": func(r *rig) { certstest.PutPair(t, r.dir, r.ca.Issue("x", time.Now().Add(-time.Minute))) },
		"not yet": func(r *rig) {
			begin := time.Now().Add(7 * time.Hour)
			certstest.PutPair(t, r.dir, r.ca.IssueFrom("x", begin, begin.Add(2*time.Hour)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.later()
			damage(r)
			require.Equal(t, "one", r.served())
			require.Empty(t, r.log.String(), "the files may be in the middle of a replacement")
			now := time.Now()
			for i := range 3 {
				r.pair.look(now.Add(time.Duration(i+1)*2*patience), false)
			}
			require.Len(t, r.log.Lines("certificate not taken"), 1)
			require.Equal(t, "one", r.served())
			require.NotEmpty(t, r.Rows()[0].Fault)
			text, refused := r.Rows()[0].Trouble(now)
			require.Contains(t, text, "stays in use")
			require.False(t, refused)

			r.put("two")
			r.Again()
			require.Equal(t, "two", r.served())
			require.Empty(t, r.Rows()[0].Fault)
			require.Len(t, r.log.Lines("good again"), 1)
		})
	}
	r := newRig(t)
	certstest.Put(t, r.path("ca.pem"), []byte("nothing"))
	r.Again()
	require.Len(t, r.log.Lines("server.client_ca"), 1)
	cfg, err := r.Server().GetConfigForClient(nil)
	require.NoError(t, err)
	require.True(t, cfg.ClientCAs.Equal(r.ca.Pool()), "the former authority is wanted as before")
}

// TestAnEndedPairIsReplacedByAny: with nothing to lose, the newer one is shown.
func TestAnEndedPairIsReplacedByAny(t *testing.T) {
	r := newRig(t)
	certstest.PutPair(t, r.dir, r.ca.Issue("ended", time.Now().Add(-time.Minute)))
	r.open(r.path("cert.pem"), r.path("key.pem"))
	text, refused := r.Rows()[0].Trouble(time.Now())
	require.Contains(t, text, "(CN=ended) ended at")
	require.True(t, refused)
	certstest.PutPair(t, r.dir, r.ca.Issue("later", time.Now().Add(9*time.Hour)))
	require.Equal(t, "later", r.served())
}

func TestFilesThatAreNotGoodAtTheStart(t *testing.T) {
	r := newRig(t)
	for _, n := range []Names{
		{Cert: "nowhere", Key: r.path("key.pem")},
		{Cert: r.path("cert.pem"), Key: r.path("cert.pem")},
		{Cert: r.path("cert.pem"), Key: r.path("key.pem"), CA: "nowhere"},
		{Cert: r.path("cert.pem"), Key: r.path("key.pem"), CA: r.path("key.pem")},
		{Cert: r.dir, Key: r.path("key.pem")},
	} {
		_, err := Open(n, slog.New(slog.DiscardHandler))
		require.Error(t, err)
	}
}

// TestRowsOfAuthorities: of two authorities with one name, the one issued anew counts.
func TestRowsOfAuthorities(t *testing.T) {
	old, other := certstest.New(t, "a").Cert.Leaf, certstest.New(t, "b").Cert.Leaf
	old.NotAfter = time.Now().Add(-time.Hour)
	anew := certstest.New(t, "a").Cert.Leaf
	rows := AuthorityRows("server.client_ca", "f", []*x509.Certificate{old, other, anew})
	require.Len(t, rows, 2)
	require.Equal(t, anew.NotAfter, rows[0].Ends)
	soon, refused := rows[1].Trouble(time.Now())
	require.Contains(t, soon, "f (CN=b) ends soon")
	require.False(t, refused)
}
