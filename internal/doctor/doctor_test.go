package doctor

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"highwater/failover"
	"highwater/hwm"
	"highwater/internal/checklist"
	"highwater/internal/config"
	"highwater/internal/device"
	"highwater/internal/node/nodesim"
	"highwater/internal/tezos"
	"highwater/operate"
	"highwater/signer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// only is the one finding there is.
func only(t *testing.T, findings []checklist.Line) checklist.Line {
	t.Helper()
	require.Len(t, findings, 1)
	f := findings[0]
	require.Equal(t, f.Result == checklist.OK, f.Hint == "", "a hint belongs to what is not ok: %+v", f)
	return f
}

func TestCheckFileSystem(t *testing.T) {
	for magic, name := range map[uint32]string{
		unix.TMPFS_MAGIC: "tmpfs", unix.OVERLAYFS_SUPER_MAGIC: "overlay", unix.NFS_SUPER_MAGIC: "NFS",
		unix.CIFS_SUPER_MAGIC: "CIFS",
		unix.SMB2_SUPER_MAGIC: "SMB", unix.FUSE_SUPER_MAGIC: "FUSE", unix.V9FS_MAGIC: "9p",
	} {
		f := only(t, []checklist.Line{judgeFileSystem("/state", magic)})
		require.Equal(t, checklist.Warning, f.Result, name)
		require.Contains(t, f.Detail, "/state is on "+name+": ")
	}
	for _, magic := range []uint32{unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC} {
		require.Equal(t, checklist.OK, judgeFileSystem("/state", magic).Result)
	}
	require.Empty(t, checkFileSystem(filepath.Join(t.TempDir(), "nowhere")))

	var fs unix.Statfs_t
	// The real question, where the machine has such a directory.
	if unix.Statfs("/dev/shm", &fs) == nil && fs.Type == unix.TMPFS_MAGIC {
		require.Contains(t, only(t, checkFileSystem("/dev/shm")).Detail, "tmpfs")
	}
}

// TestAFailedCommitIsNotOk: the daemon has a failed commit behind it, and tells no marks any more.
func TestAFailedCommitIsNotOk(t *testing.T) {
	cfg := &config.Config{StateDir: "/state"}
	lines := func(store string) map[checklist.ID]checklist.Line {
		out := map[checklist.ID]checklist.Line{}
		for _, l := range Instance(cfg, operate.Status{Store: store}) {
			out[l.ID] = l
		}
		return out
	}
	broken := lines("a commit to the watermark file failed")
	require.Equal(t, checklist.Bad, broken[checklist.WatermarkFile].Result)
	require.Contains(t, broken[checklist.WatermarkFile].Detail, "a commit to the watermark file failed")
	require.NotContains(t, broken, checklist.Watermarks, "marks that nobody tells are not missing")
	require.Equal(t, checklist.OK, lines(operate.StoreOK)[checklist.WatermarkFile].Result)
	require.Contains(t, lines(operate.StoreOK), checklist.Watermarks)
}

func TestCheckListeners(t *testing.T) {
	for listen, open := range map[string]bool{
		"127.0.0.1:6732": false, "[::1]:6732": false, "localhost:6732": false, "unix:/run/x.sock": false,
		"127.9.9.9:1":  false,
		"0.0.0.0:6732": true, ":6732": true, "[::]:6732": true, "10.0.0.1:6732": true, "baker.example:6732": true,
	} {
		cfg := &config.Config{Server: config.Server{Listen: listen}}
		f := only(t, checkListeners(cfg))
		require.Equal(t, open, f.Result == checklist.Warning, listen)
		if open {
			require.Contains(t, f.Detail, listen)
		}
		cfg.Server.ClientCA = "ca.pem"
		require.Equal(t, checklist.OK, only(t, checkListeners(cfg)).Result, listen)
		cfg.Server.ClientCA, cfg.Auth = "", []*tezos.PublicKey{{}}
		require.Equal(t, checklist.OK, only(t, checkListeners(cfg)).Result, listen)
		cfg.Monitor.Listen = listen
		require.Equal(t, open, only(t, checkListeners(cfg)).Result == checklist.Warning, listen)
	}
}

// certificate writes a pair that is good from one time to another.
func certificate(t *testing.T, dir string, from, to time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: to,
		Subject: pkix.Name{CommonName: "signer"},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: private},
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600))
	}
}

func TestCheckTLS(t *testing.T) {
	now := time.Now()
	dir := t.TempDir()
	cfg := &config.Config{}
	require.Empty(t, checkTLS(cfg, now))
	cfg.Server.TLSCert, cfg.Server.TLSKey = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	require.Equal(t, checklist.Bad, only(t, checkTLS(cfg, now)).Result, "there are no files")
	const day = 24 * time.Hour
	for _, c := range []struct {
		from, to time.Duration
		result   checklist.Result
		text     string
	}{
		{-day, 31 * day, checklist.OK, "good until"},
		{-day, 29 * day, checklist.Warning, "ends soon"},
		{-2 * day, -day, checklist.Bad, "ended at"},
		{day, 90 * day, checklist.Bad, "begins at"},
	} {
		certificate(t, dir, now.Add(c.from), now.Add(c.to))
		f := only(t, checkTLS(cfg, now))
		require.Equal(t, c.result, f.Result, f.Detail)
		require.Contains(t, f.Detail, c.text)
	}
	certificate(t, dir, now.Add(-day), now.Add(90*day))
	cfg.Server.ClientCA = cfg.Server.TLSCert
	require.Len(t, checkTLS(cfg, now), 2)
	cfg.Server.ClientCA = cfg.Server.TLSKey // no certificate in the file
	found := checkTLS(cfg, now)
	require.Len(t, found, 2)
	require.Equal(t, checklist.Bad, found[1].Result)
	cfg.Server.ClientCA = ""
	other := t.TempDir() // a key that is another certificate's
	certificate(t, other, now.Add(-day), now.Add(90*day))
	cfg.Server.TLSKey = filepath.Join(other, "key.pem")
	require.Contains(t, only(t, checkTLS(cfg, now)).Detail, "private key does not match")
}

// TestCheckRegisterCertificates: the certificates for the register are judged as those of the listener are.
func TestCheckRegisterCertificates(t *testing.T) {
	now, dir := time.Now(), t.TempDir()
	certificate(t, dir, now.Add(-time.Hour), now.Add(time.Hour))
	cfg := &config.Config{}
	cfg.Register.Cert, cfg.Register.Key, cfg.Register.CA = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"),
		filepath.Join(dir, "cert.pem")
	found := checkTLS(cfg, now)
	require.Len(t, found, 2)
	for i, id := range []checklist.ID{checklist.RegisterCert, checklist.RegisterCA} {
		require.Equal(t, id, found[i].ID)
		require.Equal(t, checklist.Warning, found[i].Result)
		require.Contains(t, found[i].Detail, "ends soon")
	}
}

// nodeAt is a configuration with a node that answers by h.
func nodeAt(t *testing.T, h http.Handler) *config.Config {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return &config.Config{Node: s.URL, ChainID: tezos.Ghostnet}
}

func TestCheckNode(t *testing.T) {
	require.Empty(t, checkNode(t.Context(), &config.Config{}, time.Now))
	sim := nodesim.New(nodesim.Config{Chain: tezos.Ghostnet})
	cfg := nodeAt(t, sim)
	found := checkNode(t.Context(), cfg, time.Now)
	require.Len(t, found, 3)
	for _, l := range found {
		require.Equal(t, checklist.OK, l.Result, l.Detail)
	}

	// This machine's clock is wrong, either way: a node cannot be from the future, and its Date tells the rest.
	for _, off := range []time.Duration{-time.Hour, time.Hour} {
		found = checkNode(t.Context(), cfg, func() time.Time { return time.Now().Add(off) })
		require.Len(t, found, 3)
		require.Equal(t, checklist.Warning, found[1].Result)
		require.Regexp(t, "differs by (59m|1h0m)", found[1].Detail)
	}
	noDate := nodeAt(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil
		sim.ServeHTTP(w, r)
	}))
	require.Len(t, checkNode(t.Context(), noDate, time.Now), 2)
	found = checkNode(t.Context(), noDate, func() time.Time { return time.Now().Add(-time.Hour) })
	require.Len(t, found, 3)
	require.Contains(t, found[1].Detail, "in the future of this machine's clock")

	sim.SetFaults(nodesim.Faults{Chain: tezos.Mainnet})
	require.Contains(t, checkNode(t.Context(), cfg, time.Now)[0].Detail, "follows another chain")
	require.Equal(t, checklist.Bad, checkNode(t.Context(), cfg, time.Now)[0].Result)
	sim.SetFaults(nodesim.Faults{Starting: true})
	require.Equal(t, checklist.Warning, checkNode(t.Context(), cfg, time.Now)[0].Result, "it catches up by itself")
	sim.SetFaults(nodesim.Faults{Down: true})
	require.Equal(t, checklist.Bad, only(t, checkNode(t.Context(), cfg, time.Now)).Result)

	wrong := nodeAt(t, http.NotFoundHandler())
	f := checkNode(t.Context(), wrong, time.Now)[0]
	require.Equal(t, checklist.Bad, f.Result)
	require.Contains(t, f.Hint, "no octez node is at the address")
}

// A protocol that this version was not tested with is said one block before it begins, and from then on.
func TestCheckTellsOfANewProtocol(t *testing.T) {
	sim := nodesim.New(nodesim.Config{Chain: tezos.Ghostnet})
	cfg := nodeAt(t, sim)
	protocol := func(cfg *config.Config) checklist.Line {
		found := checkNode(t.Context(), cfg, time.Now)
		return found[len(found)-1]
	}
	require.Equal(t, checklist.Good(checklist.Protocol, "Seoul"), protocol(cfg))

	const unknown = "ProtoALphaALphaALphaALphaALphaALphaALphaALphaDdp3zK"
	sim.SetFaults(nodesim.Faults{NextProtocol: unknown})
	l := protocol(cfg)
	require.Equal(t, checklist.Warning, l.Result, "signing goes on")
	require.Equal(t, "ProtoALphaAL begins with the next block, and is unknown to this version of Highwater", l.Detail)
	require.Contains(t, l.Hint, "upgrade")

	there := nodeAt(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/protocols") {
			_, _ = fmt.Fprintf(w, `{"protocol":%q,"next_protocol":%[1]q}`, unknown)
			return
		}
		sim.ServeHTTP(w, r)
	}))
	require.Equal(t, "ProtoALphaAL is unknown to this version of Highwater", protocol(there).Detail)
}

// TestCheckNamesWhereANodeRedirects: to another machine by its address, and without what stands in its path.
func TestCheckNamesWhereANodeRedirects(t *testing.T) {
	cfg := nodeAt(t, http.RedirectHandler(
		"https://rpc.example/secret-token/chains/main/chain_id", http.StatusMovedPermanently))
	f := checkNode(t.Context(), cfg, time.Now)[0]
	require.Equal(t, checklist.Bad, f.Result)
	require.Contains(t, f.Detail, "status 301: a redirect to https://rpc.example")
	require.Contains(t, f.Hint, `node = "https://rpc.example"`)
	require.NotContains(t, f.Detail+f.Hint, "secret-token")
	cfg = nodeAt(t, http.RedirectHandler("/v2", http.StatusFound))
	require.Contains(t, checkNode(t.Context(), cfg, time.Now)[0].Detail, "another path of http://127.0.0.1")
}

func TestCheckPeerClock(t *testing.T) {
	require.Empty(t, checkPeerClock(operate.Status{}))
	heard := time.Now()
	st := operate.Status{Pair: &failover.View{Peer: &failover.PeerView{HeardAt: &heard, SkewMS: 300}}}
	require.Equal(t, checklist.OK, only(t, checkPeerClock(st)).Result)
	st.Pair.Peer.SkewMS = -7000
	require.Equal(t, checklist.Warning, only(t, checkPeerClock(st)).Result)
	st.Pair.Peer.HeardAt = nil
	require.Empty(t, checkPeerClock(st))
}

func TestCheckFenced(t *testing.T) {
	st := operate.Status{Role: operate.Role{Role: hwm.Fenced, Epoch: 3, Why: "somebody else signed"}}
	f := only(t, []checklist.Line{checkRole(st)})
	require.Equal(t, checklist.Bad, f.Result)
	require.Contains(t, f.Detail, "fenced, epoch 3: signs nothing: somebody else signed")
	require.Contains(t, f.Hint, "activate --level")
	st.Pair = &failover.View{Peer: &failover.PeerView{}}
	require.Contains(t, checkRole(st).Hint, "takeover")
}

// TestCheckKeys: a line for each key that has no device, none that says the same as a device's own line.
func TestCheckKeys(t *testing.T) {
	fault := signer.KeyFault{
		Reason: signer.KeyNoDevice, Health: device.Absent, Text: "no device holds it",
		Hint: "connect it",
	}
	st := operate.Status{Keys: []operate.KeyRow{{}, {Faults: []signer.KeyFault{fault}}}}
	require.Equal(t, checklist.Bad, only(t, Keys(st)).Result)
	st.Keys[1].Faults[0].Note = true
	require.Equal(t, checklist.Warning, only(t, Keys(st)).Result)
	st.Keys[1].Faults[0] = signer.KeyFault{Reason: "locked", Device: "left", Health: device.Locked}
	st.Devices = []operate.DeviceRow{{Name: "left", Status: device.Status{Health: device.Locked}}}
	require.Equal(t, "1 of 2 on a device that can sign with them", only(t, Keys(st)).Detail)
	st.Keys[1].Faults[0] = signer.KeyFault{Reason: signer.KeyNoMark}
	require.Equal(t, "2 of 2 on a device that can sign with them", only(t, Keys(st)).Detail)
}

// TestCheckNotesASpareThatIsNone: a warning with a next step, beside the good line.
func TestCheckNotesASpareThatIsNone(t *testing.T) {
	no := signer.KeyFault{
		Reason: signer.KeyNoDevice, Device: "right", Text: "device right is no spare", Hint: "do this",
		Note: true,
	}
	lines := Keys(operate.Status{Keys: []operate.KeyRow{{Health: "ready", NoSpares: []signer.KeyFault{no}}}})
	require.Len(t, lines, 2)
	require.Equal(t, checklist.OK, lines[0].Result)
	require.Equal(t, checklist.Warning, lines[1].Result)
	require.Equal(t, no.Text, lines[1].Detail)
	require.Equal(t, no.Hint, lines[1].Hint)
}
