// Package pagetest holds the states of the status page, for the tests of the page.
package pagetest

import (
	"context"
	"slices"
	"time"

	"highwater/failover"
	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/history"
	"highwater/internal/tezos"
	"highwater/operate"
	"highwater/register"
	"highwater/signer"
)

// Shown is a state of the page.
type Shown struct {
	Name   string
	Status operate.Status
	Series []history.Series
	Title  string
	Class  string // of the state
	Text   string
}

// Squares are the levels to 8123456: signed, but for a replay, a refusal, two failures and a pause.
func Squares(key tezos.PublicKeyHash, kind tezos.Kind) history.Series {
	s := history.Series{
		PKH: key, Kind: kind,
		Latency: history.Latency{Signatures: 191, P50US: 42_300, P99US: 118_000, Device: .93, Disk: .02},
	}
	missed := map[int32]bool{101: true, 151: true}
	if kind == tezos.Preattestation { // leaves no trace on chain
		missed = nil
	}
	odd := map[int32]history.State{
		3: history.Replayed, 60: history.Conflict, 117: history.Failed, 118: history.Failed, 150: history.None,
		151: history.None, 180: history.Refused,
	}
	at := time.Date(2026, 11, 28, 4, 0, 0, 0, time.UTC)
	for i := range int32(history.Levels) {
		q := history.Square{
			Level: 8_123_257 + i, State: history.Signed, At: at.Add(time.Duration(i-history.Levels) * 6 * time.Second),
			TookUS: 43_000, Missed: missed[i],
		}
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
	soon, attest := at.Add(16*time.Second), at.Add(104*time.Second)
	st.Rights = &operate.Rights{
		Known: level + 96, Pause: &operate.Pause{From: soon.Add(10 * time.Second), To: attest},
		Next: []operate.NextRight{
			{PKH: key, Alias: "consensus", Kind: tezos.Attestation, Level: level + 2, At: &soon},
			{PKH: key, Alias: "consensus", Kind: tezos.Block, Level: level + 300, At: &attest},
		},
	}
	for _, kind := range tezos.Kinds {
		st.Marks = append(st.Marks, operate.MarkRow{
			PKH: key, Alias: "consensus", Kind: kind, Level: &level, Round: &round, Horizon: &horizon, Signed: true,
			Source: "signed", UpdatedAt: &at,
		})
	}
	return st
}

// States are all states of the page.
func States() []Shown {
	key := tezos.PublicKeyHash{Curve: tezos.Ed25519, Hash: [20]byte{7: 42}}
	series := []history.Series{
		Squares(key, tezos.Block), Squares(key, tezos.Preattestation), Squares(key, tezos.Attestation),
	}
	without := func(role hwm.Role, why string, no ...string) operate.Status {
		st := well(key)
		if role == hwm.Standby {
			st.Pair.MaySign, st.Pair.Peer.Role = "the other instance", "active"
		}
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
	alone := without(hwm.Standby, "standby: maintenance")
	alone.Pair = nil
	locked := without(hwm.Standby, "standby: handed over", "device left: locked: enter the PIN")
	locked.Devices[0].Status = device.Status{
		Health: device.Locked, Model: "Nano S Plus", App: "Tezos Baking 2.4.7", Advice: "enter the PIN",
	}
	fenced := without(hwm.Fenced, "fenced: a twin signs")
	fenced.Pair.MaySign = "nobody: this instance is fenced, and the other does not sign"
	fenced.Notes = []string{"certificate: server.tls_cert ends in 9 days"}
	waiting := without(hwm.Active, "it waits for the peer's answer")
	waiting.Pair.MaySign = "nobody now: this instance waits"
	waiting.Pair.Waiting = "it was restarted, and asks the other instance before it signs"
	until := well(key)
	until.Ready, until.NotReady = false, []string{"marks: the key signs from level 8123600 on"}
	until.Ahead = []operate.Ahead{{PKH: key, From: 8_123_600}}
	never := until
	never.NotReady = []string{"marks: the ceiling 8123400 keeps the key from every level from here on"}
	ceiling := int32(8_123_400)
	never.Marks = slices.Clone(never.Marks)
	for i := range never.Marks {
		never.Marks[i].Ceiling = &ceiling
	}
	never.Ahead = []operate.Ahead{{PKH: key}}
	shared := without(hwm.Active, "attic may not sign: cellar may")
	shared.Pair, shared.Register = nil, &register.View{
		Owner: hwm.InstanceID{1}, Horizon: 8_123_470, Head: &shared.Head.Level, Epoch: 12, Name: "mainnet-baker",
		MaySign: "cellar, up to level 8123470",
	}
	silent := shared
	silent.Register = &register.View{
		Owner: hwm.InstanceID{1}, SilentMS: 9000, Name: "mainnet-baker", Error: "no answer within 2 s",
		MaySign: "not known: the register has not answered yet",
	}
	return []Shown{
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
		{"locked", locked, nil, "✗ NOT READY · attic · mainnet · Highwater", "bad", "✗ Not ready. Nothing is signed now:"},
		{
			"fenced", fenced, series, "✗ FENCED · attic · mainnet · Highwater", "bad",
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

// Monitor tells the state.
func (s Shown) Monitor() Monitor { return Monitor{s} }

// Monitor is an instance in a state.
type Monitor struct{ Shown }

// Status gives the status of the state.
func (m Monitor) Status(context.Context) (operate.Status, error) { return m.Shown.Status, nil }

// History gives the series of the state.
func (m Monitor) History(_ context.Context, most int) (all []history.Series, left int, err error) {
	if most > 0 && len(m.Series) > most {
		return m.Series[:most], len(m.Series) - most, nil
	}
	return m.Series, 0, nil
}
