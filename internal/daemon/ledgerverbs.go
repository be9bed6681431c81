package daemon

import (
	"context"
	"strings"

	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/ledger"
)

// LedgerKey is a key in the verbs' form.
type LedgerKey struct {
	Curve ledger.Curve `json:"curve"`
	Path  string       `json:"path"`
}

// ParseLedgerKey reads a locator in octez's form, or curve and path alone.
func ParseLedgerKey(text string) (LedgerKey, error) {
	if strings.HasPrefix(text, "ledger://") {
		l, err := ledger.ParseLocator(text)
		return LedgerKey{l.Curve, l.Path.String()}, err
	}
	curve, path, _ := strings.Cut(text, "/")
	c, err := ledger.ParseCurve(curve)
	if err != nil {
		return LedgerKey{}, err
	}
	if path == "" {
		return LedgerKey{c, ledger.DefaultPath.String()}, nil
	}
	p, err := ledger.ParsePath(path)
	return LedgerKey{c, p.String()}, err
}

func (k LedgerKey) path() (ledger.Path, error) { return ledger.ParsePath(k.Path) }

// LedgerView is a Ledger for the screen.
type LedgerView struct {
	Name    string           `json:"name"`
	ID      string           `json:"id"`
	App     string           `json:"app"`
	Build   string           `json:"build"`
	Where   string           `json:"where"`
	Model   string           `json:"model"`
	Key     string           `json:"key"` // locator of the authorised key; empty: none
	PKH     string           `json:"pkh"`
	Chain   string           `json:"chain"` // main chain of the device; empty: any
	Main    hwm.Position     `json:"main"`
	Test    hwm.Position     `json:"test"`
	Keys    []ledgerKeyView  `json:"keys,omitempty"`
	Note    string           `json:"note,omitempty"` // a remark on a ready device
	Problem string           `json:"problem,omitempty"`
	Compare []ledgerMarkView `json:"compare,omitempty"`
}

type ledgerKeyView struct {
	Locator    string `json:"locator"`
	PKH        string `json:"pkh"`
	Authorised bool   `json:"authorised"`
}

type ledgerMarkView struct {
	Kind   tezos.Kind    `json:"kind"`
	Host   *hwm.Position `json:"host"`
	Device hwm.Position  `json:"device"`
	Note   string        `json:"note"`
}

// LedgerSetupArgs are the arguments of a Ledger's setup: the key, and the first levels of the two marks.
type LedgerSetupArgs struct {
	LedgerKey
	Main int32 `json:"main"`
	Test int32 `json:"test"`
	Far  bool  `json:"far,omitempty"`
}

// LedgerResetArgs are the arguments of a Ledger's reset: the level of both marks.
type LedgerResetArgs struct {
	Level int32 `json:"level"`
	Far   bool  `json:"far,omitempty"`
}

// LedgerInfoArgs ask for more than the device: for its keys, and for the comparison of its marks.
type LedgerInfoArgs struct {
	Keys    bool `json:"keys"`    // also the keys at the usual path of each curve
	Compare bool `json:"compare"` // also the host's marks
}

// ledgerVerbs is a Ledger's driver, for the commands about Ledgers.
var ledgerVerbs = map[string]verb[*ledger.Device]{
	"info": with(func(ctx context.Context, in *Instance, d *ledger.Device, q LedgerInfoArgs, _ func(string)) (any, error) {
		return ledgerInfo(ctx, in, d, q)
	}),
	"setup": with(func(
		ctx context.Context, in *Instance, d *ledger.Device, q LedgerSetupArgs, show func(string),
	) (any, error) {
		path, err := q.path()
		if err != nil {
			return nil, err
		}
		if err = in.near(ctx, q.Main, q.Far); err != nil {
			return nil, err
		}
		key, err := d.Setup(ctx, ledger.Setup{
			Curve: q.Curve, Path: path, Chain: in.Config.ChainID, Main: q.Main,
			Test: q.Test,
		}, show)
		return addressOf(key, err)
	}),
	"authorize": with(func(
		ctx context.Context, _ *Instance, d *ledger.Device, q LedgerKey, show func(string),
	) (any, error) {
		path, err := q.path()
		if err != nil {
			return nil, err
		}
		key, err := d.Authorize(ctx, q.Curve, path, show)
		return addressOf(key, err)
	}),
	"deauthorize": with(func(ctx context.Context, _ *Instance, d *ledger.Device, _ struct{}, _ func(string)) (any, error) {
		return "done", d.Deauthorize(ctx)
	}),
	"reset": with(func(
		ctx context.Context, in *Instance, d *ledger.Device, q LedgerResetArgs, show func(string),
	) (any, error) {
		if err := in.near(ctx, q.Level, q.Far); err != nil {
			return nil, err
		}
		return "done", d.Reset(ctx, q.Level, show)
	}),
}

func addressOf(key *tezos.PublicKey, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return key.Hash().String(), nil
}

func ledgerInfo(ctx context.Context, in *Instance, d *ledger.Device, q LedgerInfoArgs) (LedgerView, error) {
	info, err := d.Info(ctx)
	if err != nil {
		return LedgerView{}, err
	}
	v := LedgerView{
		Name: d.Name(), ID: info.ID, App: info.Version.String(), Build: info.Git, Where: info.Where,
		Main: position(info.Marks.Main), Test: position(info.Marks.Test), Note: strings.Join(d.Status().Remarks(),
			"; "), Model: d.Status().Model,
	}
	if info.Marks.Chain != (tezos.ChainID{}) {
		v.Chain = info.Marks.Chain.String()
	}
	var pkh tezos.PublicKeyHash
	if info.Key != nil {
		v.Key = info.Key.String()
		var key *tezos.PublicKey
		if key, err = d.PublicKey(ctx, info.Key.Curve, info.Key.Path); err != nil {
			return LedgerView{}, err
		}
		pkh = key.Hash()
		v.PKH = pkh.String()
	}
	if q.Keys {
		if v.Keys, err = usualKeys(ctx, d, info); err != nil {
			return LedgerView{}, err
		}
	}
	if q.Compare && info.Key != nil {
		v.Compare, err = compareMarks(in, pkh, position(info.Marks.For(in.Config.ChainID)))
	}
	return v, err
}

func position(w ledger.Watermark) hwm.Position {
	return hwm.Position{Level: int32(min(w.Level, hwm.MaxRound)), Round: int32(min(w.Round, hwm.MaxRound))}
}

// usualKeys lists the keys at the usual path of each curve for bakers.
func usualKeys(ctx context.Context, d *ledger.Device, info ledger.Info) ([]ledgerKeyView, error) {
	var out []ledgerKeyView
	for _, curve := range []ledger.Curve{ledger.Ed25519, ledger.Secp256k1, ledger.P256, ledger.BIP25519} {
		key, err := d.PublicKey(ctx, curve, ledger.DefaultPath)
		if err != nil {
			return nil, err
		}
		l := ledger.Locator{Device: info.ID, Curve: curve, Path: ledger.DefaultPath}
		authorised := info.Key != nil && info.Key.String() == l.String()
		out = append(out, ledgerKeyView{l.String(), key.Hash().String(), authorised})
	}
	return out, nil
}

// compareMarks puts the device's one mark beside the host's, kind by kind.
func compareMarks(in *Instance, pkh tezos.PublicKeyHash, dev hwm.Position) ([]ledgerMarkView, error) {
	var out []ledgerMarkView
	for _, key := range hwm.KeysOf(in.Config.ChainID, pkh) {
		st, err := in.Store.State(key)
		if err != nil {
			return nil, err
		}
		row := ledgerMarkView{Kind: key.Kind, Device: dev}
		switch {
		case st.Mark == nil:
			row.Note = "the host has no mark, and signs nothing of this kind"
		case dev.Compare(st.Mark.Position) > 0:
			row.Note = "the device is ahead: the device refuses places still open at the host"
		case dev.Compare(st.Mark.Position) < 0:
			row.Note = "the device is behind: the host alone protects"
		default:
			row.Note = "the same"
		}
		if st.Mark != nil {
			row.Host = &st.Mark.Position
		}
		out = append(out, row)
	}
	return out, nil
}
