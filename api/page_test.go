package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/api"
	"highwater/failover"
	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/history"
	"highwater/internal/tezos"
	"highwater/operate"
	"highwater/register"
	"highwater/signer"
)

// shown is a state of the page.
type shown struct {
	name   string
	status operate.Status
	series []history.Series
	title  string
	class  string // of the state
	text   string
}

// squares are the levels to 8123456: signed, but for a replay, a refusal, two failures and a pause.
func squares(key tezos.PublicKeyHash, kind tezos.Kind) history.Series {
	s := history.Series{
		PKH: key, Kind: kind,
		Latency: history.Latency{Signatures: 191, P50US: 42_300, P99US: 118_000, Device: .93, Disk: .02},
	}
	odd := map[int32]history.State{
		3: history.Replayed, 60: history.Conflict, 117: history.Failed, 118: history.Failed, 150: history.None,
		151: history.None, 180: history.Refused,
	}
	at := time.Date(2026, 11, 28, 4, 0, 0, 0, time.UTC)
	for i := range int32(history.Levels) {
		q := history.Square{Level: 8_123_257 + i, State: history.Signed, At: &at}
		if state, ok := odd[i]; ok {
			q.State = state
		}
		switch q.State {
		case history.Conflict:
			q.Reason = "conflict"
		case history.Failed:
			q.Reason = "device_absent"
		case history.Refused:
			q.Reason = "not_above"
		case history.None, history.Signed, history.Replayed, history.Fenced:
		}
		s.Squares = append(s.Squares, q)
	}
	return s
}

// well is an active instance without a fault.
func well(key tezos.PublicKeyHash) operate.Status {
	at := time.Now().Add(-4 * time.Second)
	level, round, horizon := int32(8_123_456), int32(0), int32(8_123_500)
	st := operate.Status{
		Version: "1.0.0", Name: "attic", Network: "mainnet", Chain: tezos.Mainnet.String(), Running: true, Signing: true,
		Store: "ok", Ready: true, Head: &operate.Head{Level: level, At: at}, LastAsked: &at,
		Role:  operate.Role{Role: hwm.Active, Epoch: 7, Mine: true, Since: at.Add(-48 * time.Hour), Why: "handed over"},
		Keys:  []operate.KeyRow{{PKH: key, Alias: "consensus"}},
		Guard: operate.Guard{State: operate.GuardWatching, Head: &level, At: &at},
		Devices: []operate.DeviceRow{{
			Name: "left", Status: device.Status{Health: device.Ready, Model: "Nano S Plus", App: "Tezos Baking 2.4.7"},
		}},
		Pair: &failover.View{MaySign: "this instance", Peer: &failover.PeerView{
			Address: "10.0.0.2:6734", Reachable: true, HeardAt: &at, Role: "standby", Epoch: 7, Following: true,
		}},
	}
	for _, kind := range tezos.Kinds {
		st.Marks = append(st.Marks, operate.MarkRow{
			PKH: key, Alias: "consensus", Kind: kind, Level: &level, Round: &round, Horizon: &horizon, Signed: true,
			Source: "signed", UpdatedAt: &at,
		})
	}
	return st
}

// states are all states of the page.
func states(t *testing.T) []shown {
	t.Helper()
	key := client(t, tezos.Ed25519).PublicKey().Hash()
	series := []history.Series{
		squares(key, tezos.Block), squares(key, tezos.Preattestation), squares(key, tezos.Attestation),
	}
	without := func(role hwm.Role, why string, no ...string) operate.Status {
		st := well(key)
		st.Ready, st.Signing, st.NotReady = false, false, append([]string{"role: " + why}, no...)
		st.Role.Role, st.Role.Why = role, why
		return st
	}
	ready := well(key)
	alarmed := well(key)
	alarmed.Alarms = []signer.Alarm{{
		Name: "elsewhere", Since: time.Date(2026, 11, 28, 3, 0, 0, 0, time.UTC),
		Text: "a request asks for a level far above all levels that were signed here",
		Hint: "look for a second signer with the key, then: highwater acknowledge 1",
	}}
	standby := without(hwm.Standby, "standby: handed over")
	standby.Pair.MaySign = "the other instance"
	alone := without(hwm.Standby, "standby: maintenance")
	alone.Pair = nil
	locked := without(hwm.Standby, "standby: handed over", "device left: locked: enter the PIN")
	waiting := without(hwm.Active, "it waits for the peer's answer")
	waiting.Pair.Waiting = "it was restarted, and asks the other instance before it signs"
	until := well(key)
	until.Ready, until.NotReady = false, []string{"marks: the key signs from level 8123600 on"}
	until.Ahead = []operate.Ahead{{PKH: key, From: 8_123_600}}
	never := until
	never.Ahead = []operate.Ahead{{PKH: key}}
	shared := without(hwm.Active, "attic may not sign: cellar may")
	shared.Pair, shared.Register = nil, &register.View{Owner: hwm.InstanceID{1}, Horizon: 8_123_470}
	silent := shared
	silent.Register = &register.View{Owner: hwm.InstanceID{1}, SilentMS: 9000}
	return []shown{
		{"ready", ready, series, "✓ Ready · attic · mainnet · Highwater", "good", "✓ Ready: it signs."},
		{"alarm", alarmed, series, "✓ Ready, 1 alarm · attic · mainnet · Highwater", "good", "✓ Ready: it signs."},
		{
			"standby", standby, nil, "– Standby · attic · mainnet · Highwater", "calm",
			"– Standby, and ready: only the right to sign is elsewhere.",
		},
		{
			"alone", alone, nil, "– Standby · attic · mainnet · Highwater", "calm",
			"– Standby, and ready: only the right to sign is elsewhere.",
		},
		{"locked", locked, nil, "✗ NOT READY · attic · mainnet · Highwater", "bad", "✗ Not ready."},
		{
			"fenced", without(hwm.Fenced, "fenced: a twin signs"), series, "✗ FENCED · attic · mainnet · Highwater", "bad",
			"✗ Fenced: it ended its own signing.",
		},
		{"waiting", waiting, series, "… WAITING · attic · mainnet · Highwater", "bad", "… Waiting: it does not sign yet."},
		{
			"until", until, series, "✗ NOT READY until level 8123600 · attic · mainnet · Highwater", "bad",
			"✗ Not ready until level 8123600.",
		},
		{
			"never", never, series, "✗ NOT READY · attic · mainnet · Highwater", "bad",
			"✗ Not ready: a key signs nothing more, by its ceiling.",
		},
		{
			"shared", shared, nil, "– Standby · attic · mainnet · Highwater", "calm",
			"– Standby, and ready: only the right to sign is elsewhere.",
		},
		{
			"silent register", silent, nil, "… WAITING · attic · mainnet · Highwater", "bad",
			"… Waiting: it does not sign yet.",
		},
	}
}

// html is the page of a state.
func (s shown) html(t *testing.T) reply {
	t.Helper()
	return ask(t, serve(t, api.NewMonitor(toldAdmin{status: s.status, series: s.series}, api.NewMetrics())), "GET", "/",
		"")
}

func TestPageInEveryState(t *testing.T) {
	for _, s := range states(t) {
		t.Run(s.name, func(t *testing.T) {
			got := s.html(t)
			require.Equal(t, http.StatusOK, got.status)
			require.Contains(t, got.body, "<title>"+s.title+"</title>")
			require.Contains(t, got.body, `<p class="word `+s.class+`">`+s.text)
			require.Contains(t, got.body, `<link rel="icon" href="data:image/svg&#43;xml,`)
			require.Contains(t, got.body, "</html>", "the template ends")
			require.NotContains(t, got.body, "ZgotmplZ")
			for _, foreign := range []string{"http://", "https://", "<script", "@import", "url("} {
				require.NotContains(t, strings.ReplaceAll(got.body, "http:%2F%2Fwww.w3.org", ""), foreign)
			}
			require.Less(t, len(got.body), 40<<10)
			if len(s.status.Alarms) > 0 {
				alarm, step := strings.Index(got.body, "alarm: elsewhere"), strings.Index(got.body, "look for a second signer")
				require.Less(t, step, alarm, "the step comes first")
				require.Less(t, alarm, strings.Index(got.body, s.text))
			}
		})
	}
}

func TestPageShowsTheLastLevels(t *testing.T) {
	got := states(t)[0].html(t).body
	for _, want := range []string{
		`aria-label="levels 8123257 to 8123456: 193 signed, 1 replayed, 1 refused, 1 conflict, 2 failed, 2 no request"`,
		`viewBox="0 0 400 32"`, `<path class="replayed" d="M24 4h7"/>`, `<path class="no-request" d="M0 28h15"/>`,
		"p50 42 ms, p99 118 ms; device 93 %, disk 2 %",
		"<p>level 8123437, round 0: refused at 04:00:00 UTC (not_above)</p>",
		"<p>level 8123317, round 0: conflict at 04:00:00 UTC (conflict)</p>",
		"<strong>consensus · attestation</strong>",
	} {
		require.Contains(t, got, want)
	}
	require.Equal(t, 3, strings.Count(got, "<figure>"))
}

// TestPageOfManyKeysIsBounded: the page of a hundred keys stays small, and /history has all of them.
func TestPageOfManyKeysIsBounded(t *testing.T) {
	s := states(t)[0]
	one := s.series
	for len(s.series) < 300 {
		s.series = append(s.series, one...)
	}
	at := serve(t, api.NewMonitor(toldAdmin{status: s.status, series: s.series}, api.NewMetrics()))
	got := ask(t, at, "GET", "/", "").body
	require.Less(t, len(got), 150<<10)
	require.Contains(t, got, `264 more are at <a href="/history">/history</a>.`)
	require.Equal(t, 300, strings.Count(ask(t, at, "GET", "/history", "").body, `"squares"`))
}
