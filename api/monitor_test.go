package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"highwater/api"
	"highwater/failover"
	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/history"
	"highwater/internal/tezos"
	"highwater/operate"
	"highwater/signer"
)

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.MarshalIndent(v, "", " ")
	require.NoError(t, err)
	return string(b)
}

func readiness(t *testing.T, at string, status int) []string {
	t.Helper()
	got := ask(t, at, "GET", "/readyz", "")
	require.Equal(t, status, got.status, got.body)
	var v struct {
		Ready   bool     `json:"ready"`
		Reasons []string `json:"reasons"`
	}
	require.NoError(t, json.Unmarshal([]byte(got.body), &v))
	require.Equal(t, status == http.StatusOK, v.Ready)
	require.Equal(t, v.Ready, len(v.Reasons) == 0)
	require.NotNil(t, v.Reasons)
	return v.Reasons
}

// has waits until one of the reasons not to be ready says this.
func has(t *testing.T, at, want string) {
	t.Helper()
	var got string
	require.Eventually(t, func() bool {
		got = ask(t, at, "GET", "/readyz", "").body
		return strings.Contains(got, want)
	}, 10*time.Second, 2*time.Millisecond, "%s not in %s", want, got)
	readiness(t, at, http.StatusServiceUnavailable)
}

func isReady(t *testing.T, at string) {
	t.Helper()
	require.Eventually(t, func() bool { return ask(t, at, "GET", "/readyz", "").status == http.StatusOK }, 10*time.Second,
		2*time.Millisecond)
	require.Empty(t, readiness(t, at, http.StatusOK))
}

// TestReadiness gives each reason, one after the other; the process is alive all along.
func TestReadiness(t *testing.T) {
	r := newRig(t)
	at := serve(t, api.NewMonitor(r.admin, r.metrics))
	alive := func() { require.Equal(t, `{"status":"alive"}`, ask(t, at, "GET", "/healthz", "").body) }
	alive()
	has(t, at, "role: standby")
	has(t, at, "has no block watermark: set `node` in the configuration, and run: highwater hwm set tz")
	r.activate()
	isReady(t, at)

	r.ledger.Lock()
	has(t, at, "device left: locked: ")
	r.ledger.Unlock()
	isReady(t, at)
	r.ledger.Quit()
	has(t, at, "device left: no_app: ")
	r.ledger.Open()
	isReady(t, at)
	r.gadget.Unplug()
	has(t, at, "device right: absent: ")
	require.NoError(t, r.gadget.Replug()) // its keys are locked after that
	has(t, at, "device right: locked: highwater tezsign unlock")
	alive()

	r.admin.Running = false
	has(t, at, "the daemon does not run: highwater serve")
	r.admin.Running = true
	_, err := r.admin.Standby(t.Context(), operate.StandbyRequest{Why: "maintenance"})
	require.NoError(t, err)
	has(t, at, "role: standby: maintenance")

	require.NoError(t, r.store.Close())
	has(t, at, "store: the watermark file is closed")
	alive()
}

// TestKeysThatNobodyHolds: devices may be ready, and what the configuration wants of them not there.
func TestKeysThatNobodyHolds(t *testing.T) {
	misplaced, nowhere := client(t, tezos.Ed25519).PublicKey().Hash(), client(t, tezos.P256).PublicKey().Hash()
	r := newRig(t, signer.KeyPolicy{PKH: misplaced, Devices: []string{"left"}}, signer.KeyPolicy{PKH: nowhere}).activate()
	keys, err := r.admin.Keys(t.Context())
	require.NoError(t, err)
	require.Len(t, keys, 2)
	for _, k := range keys {
		require.Equal(t, "absent", k.Health, k.PKH)
	}
	at := serve(t, api.NewMonitor(r.admin, r.metrics))
	reasons := readiness(t, at, http.StatusServiceUnavailable)
	require.Len(t, reasons, 2)
	has(t, at, "key "+misplaced.String()+": absent: device left does not hold the key")
	has(t, at, "key "+nowhere.String()+": absent: no device with the key was connected yet")
	require.Equal(t, "0", sample(t, ask(t, at, "GET", "/metrics", "").body, "highwater_ready"))
}

// TestAKeyWhoseDeviceWasTakenAway: it was seen once, and all devices that are left are ready.
func TestAKeyWhoseDeviceWasTakenAway(t *testing.T) {
	r := newRig(t).activate()
	gone := client(t, tezos.P256).PublicKey()
	require.NoError(t, r.store.RememberKey(hwm.KnownKey{PublicKey: gone.String(), Device: "sold"}))
	again := signer.New(signer.Config{Chain: chain, Store: r.store, Devices: r.devices}) // as after a restart
	later := &operate.Local{Signer: again, Store: r.store, Running: true, Now: time.Now}
	st, err := later.Status(t.Context())
	require.NoError(t, err)
	want := "key " + gone.Hash().String() + ": absent: no connected device holds the key"
	require.NotContains(t, strings.Join(st.NotReady, "\n"), want, "it has no mark: nobody signs with it")
	require.Contains(t, strings.Join(st.Notes, "\n"), want)
	for _, k := range hwm.KeysOf(chain, gone.Hash()) {
		_, err = r.store.Raise([]hwm.Row{{Key: k, Mark: hwm.Floor(floor, time.Now(), hwm.SourceSet)}})
		require.NoError(t, err)
	}
	st, err = later.Status(t.Context())
	require.NoError(t, err)
	require.Contains(t, strings.Join(st.NotReady, "\n"), want)

	r.gadget.Unplug() // it may be there
	require.Eventually(t, func() bool { return r.devices[1].Status().Health == device.Absent }, 10*time.Second,
		time.Millisecond)
	st, err = later.Status(t.Context())
	require.NoError(t, err)
	require.NotContains(t, strings.Join(st.NotReady, "\n"), want)
}

// TestANewKeyDoesNotEndReadiness: a key that was just made on a device has no mark and signs nothing; the others sign
// on, and it is said.
func TestANewKeyDoesNotEndReadiness(t *testing.T) {
	r := newRig(t).activate()
	at := serve(t, api.NewMonitor(r.admin, r.metrics))
	isReady(t, at)
	fresh := client(t, tezos.P256).PublicKey()
	require.NoError(t, r.store.RememberKey(hwm.KnownKey{PublicKey: fresh.String(), Device: "right"}))
	again := signer.New(signer.Config{Chain: chain, Store: r.store, Devices: r.devices})
	r.admin.Signer = again
	isReady(t, at)
	want := "marks: " + fresh.Hash().String() + " has no block watermark: highwater hwm set " + fresh.Hash().String() +
		" --level 1010"
	require.Contains(t, ask(t, at, "GET", "/readyz", "").body, want)
	require.Contains(t, ask(t, at, "GET", "/", "").body, "Note: "+want)
	require.Contains(t, ask(t, at, "GET", "/", "").body, "Ready: it signs.")
	keys, err := r.admin.Keys(t.Context())
	require.NoError(t, err)
	for _, k := range keys {
		require.Equal(t, k.PKH == fresh.Hash(), k.New, k.PKH)
	}
}

// TestADeviceThatWentBackwards is an alarm on the page and in the metrics, once it is connected again.
func TestADeviceThatWentBackwards(t *testing.T) {
	r := newRig(t).activate()
	at := serve(t, api.NewMonitor(r.admin, r.metrics))
	alarm := func() string {
		return sample(t, ask(t, at, "GET", "/metrics", "").body, `highwater_device_alarm{device="left"}`)
	}
	require.Equal(t, "0", alarm())
	devices, err := r.admin.Status(t.Context())
	require.NoError(t, err)
	pkh := r.keys[tezos.Ed25519].Hash()
	require.NoError(t, r.store.SetSeen("left\n"+devices.Devices[0].ID, pkh, 0, hwm.Position{Level: 1 << 20}))
	// It falls elsewhere.
	require.NoError(t, r.store.SetSeen("base left\n"+devices.Devices[0].ID, pkh, 0, hwm.Position{Level: 7}))
	r.ledger.PowerCycle()
	require.Eventually(t, func() bool { return alarm() == "1" }, 10*time.Second, 2*time.Millisecond)
	require.Contains(t, ask(t, at, "GET", "/", "").body, "was reset or restored, or lost its memory")
}

// TestABrokenStoreIsShown: the day it breaks is the day on which status, page and metrics are looked at.
func TestABrokenStoreIsShown(t *testing.T) {
	r := newRig(t).activate()
	at := serve(t, api.NewMonitor(r.admin, r.metrics))
	require.NoError(t, r.store.Close())
	got := ask(t, at, "GET", "/metrics", "")
	require.Equal(t, http.StatusOK, got.status, got.body)
	require.Contains(t, got.body, "\nhighwater_ready 0\n")
	require.Contains(t, got.body, "highwater_commit_seconds_count")
	got = ask(t, at, "GET", "/", "")
	require.Equal(t, http.StatusOK, got.status)
	require.Contains(t, got.body, "store: the watermark file is closed")
	st, err := r.admin.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, "the watermark file is closed", st.Store)
	require.False(t, st.Ready)
}

// sample finds a metric's value in a scrape.
func sample(t *testing.T, scrape, name string) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (.+)$`).FindStringSubmatch(scrape)
	require.NotNil(t, found, "no %s in\n%s", name, scrape)
	return found[1]
}

func TestMetrics(t *testing.T) {
	r := newRig(t).activate()
	octez := serve(t, r.octez())
	at := serve(t, api.NewMonitor(r.admin, r.metrics))
	problems, err := testutil.GatherAndLint(r.metrics.Registry)
	require.NoError(t, err)
	require.Empty(t, problems)

	key := r.keys[tezos.Ed25519]
	pkh := key.Hash().String()
	path := "/keys/" + pkh
	for level := int32(1); level <= 3; level++ {
		ask(t, octez, "POST", path, attestation(tezos.Ed25519, level))
	}
	ask(t, octez, "POST", path, attestation(tezos.Ed25519, 3))                                 // replayed
	ask(t, octez, "POST", path, attestation(tezos.Ed25519, 1)).refusal(t, http.StatusConflict) // not above
	s := step(tezos.Attestation, 3)
	s.Variant = 1
	ask(t, octez, "POST", path, hexBody(s.Payload(tezos.Ed25519))).refusal(t, http.StatusConflict) // conflict
	ask(t, octez, "POST", path, `"ff"`).refusal(t, http.StatusBadRequest)

	scrape := ask(t, at, "GET", "/metrics", "").body
	for name, want := range map[string]string{
		`highwater_signatures_total{kind="attestation",pkh="` + pkh + `",replayed="no"}`:  "3",
		`highwater_signatures_total{kind="attestation",pkh="` + pkh + `",replayed="yes"}`: "1",
		`highwater_refusals_total{kind="attestation",reason="not_above"}`:                 "1",
		`highwater_refusals_total{kind="attestation",reason="conflict"}`:                  "1",
		`highwater_refusals_total{kind="",reason="bad_payload"}`:                          "1",
		`highwater_request_seconds_count{decision="signed"}`:                              "3",
		`highwater_request_seconds_count{decision="replayed"}`:                            "1",
		`highwater_request_seconds_count{decision="refused"}`:                             "3",
		`highwater_device_seconds_count{device="left"}`:                                   "3",
		`highwater_role{role="active"}`:                                                   "1",
		`highwater_role{role="standby"}`:                                                  "0",
		`highwater_epoch`:                                                                 "1",
		`highwater_ready`:                                                                 "1",
		`highwater_device_health{device="right",health="ready"}`:                          "1",
		`highwater_device_health{device="right",health="locked"}`:                         "0",
		`highwater_build_info{version="test"}`:                                            "1",
	} {
		require.Equal(t, want, sample(t, scrape, name), name)
	}
	require.Contains(t, scrape, `highwater_mark_level{alias="`)
	require.Regexp(t, `highwater_mark_level\{.*chain="`+chain.String()+`",kind="attestation",pkh="`+pkh+`"\} 1003\n`,
		scrape)
	require.NotEqual(t, "0", sample(t, scrape, "highwater_commit_seconds_count"))

	require.NoError(t, r.store.SetCeiling(
		hwm.CeilingKey{Chain: chain, PKH: key.Hash()}, hwm.Ceiling{Level: floor + 3, Source: hwm.SourceSet}))
	ask(t, octez, "POST", path, attestation(tezos.Ed25519, 9))
	scrape = ask(t, at, "GET", "/metrics", "").body
	require.Equal(t, "1", sample(t, scrape, `highwater_refusals_total{kind="attestation",reason="above_ceiling"}`))
}

// TestNobodyFromOutsideMakesSeries: thousands of different bad requests leave as many time series as a dozen.
func TestNobodyFromOutsideMakesSeries(t *testing.T) {
	r := newRig(t).activate()
	at := serve(t, api.NewMonitor(r.admin, r.metrics))
	h := r.octez()
	octez := serve(t, h)
	series := func() int {
		n := 0
		for _, line := range strings.Split(ask(t, at, "GET", "/metrics", "").body, "\n") {
			if strings.HasPrefix(line, "highwater_") {
				n++
			}
		}
		return n
	}
	round := func(from, to int) {
		for i := from; i < to; i++ {
			stranger := tezos.PublicKeyHash{Curve: tezos.Curve(i % 5), Hash: [20]byte{byte(i), byte(i >> 8), 1}}
			ask(t, octez, "POST", "/keys/"+stranger.String(), attestation(tezos.Ed25519, int32(i)))
			body := `"` + strings.Repeat("0", i%7*2) + itoa(10+i%90) + `"`
			ask(t, octez, "POST", "/keys/"+r.keys[tezos.Ed25519].Hash().String(), body)
			s := step(tezos.Kinds[i%3], 1)
			s.Chain = tezos.ChainID{byte(i), byte(i >> 8)}
			ask(t, octez, "POST", "/keys/"+r.keys[tezos.P256].Hash().String(), hexBody(s.Payload(tezos.P256)))
		}
	}
	round(0, 100)
	before := series()
	round(100, 600)
	require.Equal(t, before, series())
	require.Less(t, before, 400)
	scrape := ask(t, at, "GET", "/metrics", "").body
	for i := range 600 {
		stranger := tezos.PublicKeyHash{Curve: tezos.Curve(i % 5), Hash: [20]byte{byte(i), byte(i >> 8), 1}}
		require.NotContains(t, scrape, stranger.String())
	}
	require.Equal(t, "600", sample(t, scrape, `highwater_refusals_total{kind="",reason="unknown_key"}`))
}

func TestStatusPage(t *testing.T) {
	r := newRig(t)
	at := serve(t, api.NewMonitor(r.admin, r.metrics))
	got := ask(t, at, "GET", "/", "")
	require.Equal(t, http.StatusOK, got.status)
	require.Contains(t, got.body, "Not ready.")
	_, err := r.admin.Activate(t.Context(),
		operate.ActivateRequest{Level: num(floor), Why: `<script>alert("why")</script>`})
	require.NoError(t, err)
	got = ask(t, at, "GET", "/", "")
	require.Equal(t, "text/html; charset=utf-8", got.header.Get("Content-Type"))
	require.Contains(t, got.header.Get("Content-Security-Policy"), "default-src 'none'")
	require.Contains(t, got.body, "Ready: it signs.")
	require.Contains(t, got.body, "</html>")
	require.NotContains(t, got.body, "<script>")
	for _, want := range []string{
		r.keys[tezos.BLS12381].Hash().String(), chain.String(), "left", "right", "1000", "consensus",
	} {
		require.Contains(t, got.body, want)
	}
	require.Equal(t, 4, strings.Count(got.body, "<code>"))
}

// toldAdmin has the status that it is told to have.
type toldAdmin struct {
	operate.Admin
	status operate.Status
	series []history.Series
}

func (a toldAdmin) Status(context.Context) (operate.Status, error) { return a.status, nil }

func (a toldAdmin) History(context.Context, int) ([]history.Series, int, error) {
	return a.series, 0, nil
}

// TestStatusPageSaysWhoMaySign: of a pair, with what to do; and no alarm without that.
func TestStatusPageSaysWhoMaySign(t *testing.T) {
	heard := time.Date(2026, 11, 27, 1, 2, 3, 0, time.FixedZone("CET", 3600))
	status := operate.Status{
		Role:     operate.Role{Role: hwm.Active, Epoch: 7, Since: heard, Why: "handed over"},
		NotReady: []string{"role: it waits", "device left: locked"},
		Alarms:   []signer.Alarm{{Name: "twin", Text: "somebody signed", Hint: "find out who", Since: heard}},
		Pair: &failover.View{
			MaySign: "nobody now: this instance waits", Waiting: "it was restarted",
			Next: []string{"start the other one", "or: highwater takeover"},
			Peer: &failover.PeerView{
				Address: "10.0.0.2:6734", Key: hwm.InstanceID{0xab}, Error: "it does not answer",
				HeardAt: &heard, Role: "standby", Epoch: 7,
			},
		},
		Guard: operate.Guard{State: operate.GuardBlind, Since: &heard, Why: "no node answers", Hint: "start it"},
	}
	body := func() string {
		return ask(t, serve(t, api.NewMonitor(toldAdmin{status: status}, api.NewMetrics())), "GET", "/", "").body
	}
	got := body()
	for _, want := range []string{
		"<title>✗ NOT READY, 1 alarm · Highwater</title>", "✗ Not ready.", "<li>device left: locked</li>",
		"⚠ alarm: twin</b> since 2026-11-27 00:02:03Z: somebody signed", "find out who",
		"<dt>May sign</dt><dd><strong>nobody now: this instance waits</strong></dd>",
		"<dt>Waiting</dt><dd>it was restarted</dd>",
		"start the other one<br>or: highwater takeover",
		"10.0.0.2:6734: <b class=\"bad\">not in touch</b>: it does not answer",
		"heard last at 2026-11-27 00:02:03Z: standby, epoch 7", "What to do: start it",
	} {
		require.Contains(t, got, want)
	}
	// A backup that is well is no alarm.
	status = operate.Status{
		Role:     operate.Role{Role: hwm.Standby, Since: heard},
		NotReady: []string{"role: standby: handed over"}, Pair: &failover.View{MaySign: "the other instance"},
	}
	got = body()
	require.Contains(t, got, "– Standby, and ready: only the right to sign is elsewhere.")
	require.NotContains(t, got, `class="bad"`)
	require.Contains(t, got, "<dt>May sign</dt><dd><strong>the other instance</strong></dd>")
	require.NotContains(t, got, "The other machine")
}

// TestTheMonitorChangesNothing: it reads.
func TestTheMonitorChangesNothing(t *testing.T) {
	r := newRig(t).activate()
	at := serve(t, api.NewMonitor(r.admin, r.metrics))
	before, err := r.admin.Status(t.Context())
	require.NoError(t, err)
	for _, target := range []string{
		"/", "/status", "/readyz", "/healthz", "/v1/standby", "/v1/marks/raise",
		"/keys/" + r.keys[tezos.Ed25519].Hash().String(),
	} {
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH"} {
			got := ask(t, at, method, target, `{"level":5000}`)
			require.Contains(t, []int{404, 405}, got.status, "%s %s", method, target)
		}
	}
	got := ask(t, at, "GET", "/status", "")
	require.Equal(t, http.StatusOK, got.status)
	var st operate.Status
	require.NoError(t, json.Unmarshal([]byte(got.body), &st))
	require.Equal(t, asJSON(t, before), asJSON(t, st))
}

// TestAlarmsAreShownAndBlockNothing: wherever one may look, until they are acknowledged.
func TestAlarmsAreShownAndBlockNothing(t *testing.T) {
	r := newRig(t).activate()
	at := serve(t, api.NewMonitor(r.admin, r.metrics))
	isReady(t, at)
	require.Contains(t, ask(t, at, "GET", "/readyz", "").body, `"alarms":[]`)
	pkh := r.keys[tezos.Ed25519].Hash()
	for _, level := range []int32{90, 80} {
		_, _, err := r.signer.Reconcile(t.Context(), "serial", []device.Mark{{PKH: pkh, Level: level}})
		require.NoError(t, err)
	}
	isReady(t, at)
	for _, path := range []string{"/readyz", "/status", "/"} {
		require.Contains(t, ask(t, at, "GET", path, "").body, "fell from level 90 round 0 to level 80 round 0", path)
	}
	require.Equal(t, "1", sample(t, ask(t, at, "GET", "/metrics", "").body, `highwater_alarms{alarm="backwards"}`))
	require.Equal(t, "0", sample(t, ask(t, at, "GET", "/metrics", "").body, `highwater_alarms{alarm="rollback"}`))

	left, err := r.admin.Acknowledge(t.Context(), operate.AcknowledgeRequest{UpTo: r.signer.Alarms()[0].ID})
	require.NoError(t, err)
	require.Empty(t, left)
	require.Contains(t, ask(t, at, "GET", "/readyz", "").body, `"alarms":[]`)
	require.Equal(t, "0", sample(t, ask(t, at, "GET", "/metrics", "").body, `highwater_alarms{alarm="backwards"}`))
}
