package daemon

import (
	"context"
	"errors"
	"fmt"

	"highwater/hwm"
	"highwater/internal/hints"
	"highwater/tezsign"
)

// Arguments and results of the verbs.
type (
	// TezSignKeysArgs are the arguments of the verbs about several keys.
	TezSignKeysArgs struct {
		Aliases       []string `json:"aliases"`
		Passphrase    []byte   `json:"passphrase,omitempty"`
		Deterministic bool     `json:"deterministic,omitempty"`
	}
	// TezSignLevelArgs are the arguments of set-level.
	TezSignLevelArgs struct {
		Alias  string `json:"alias"`
		Level  int32  `json:"level"`
		Repair bool   `json:"repair"`
		Far    bool   `json:"far,omitempty"`
	}
	// TezSignResult is the outcome for a key.
	TezSignResult struct {
		Alias string `json:"alias"`
		PKH   string `json:"pkh,omitempty"`
		Note  string `json:"note,omitempty"`
		Error string `json:"error,omitempty"`
	}
	// TezSignInfo is a gadget's own description.
	TezSignInfo struct {
		Name          string             `json:"name"`
		Serial        string             `json:"serial"`
		Version       string             `json:"version"`
		BuildDate     string             `json:"build_date"`
		Initialised   bool               `json:"initialised"`
		Deterministic bool               `json:"deterministic"`
		Keys          []tezsign.KeyState `json:"keys"`
		Problem       string             `json:"problem,omitempty"`
	}
)

// tezsignVerbs is a TezSign's driver, for the commands about TezSigns.
var tezsignVerbs = map[string]verb[*tezsign.Device]{
	"info": with(func(ctx context.Context, _ *Instance, d *tezsign.Device, _ struct{}, _ func(string)) (any, error) {
		return gadgetInfo(ctx, d)
	}),
	"init": with(func(
		ctx context.Context, _ *Instance, d *tezsign.Device, q TezSignKeysArgs, _ func(string),
	) (any, error) {
		defer clear(q.Passphrase)
		return "done", d.Init(ctx, q.Deterministic, q.Passphrase)
	}),
	"new": with(func(
		ctx context.Context, _ *Instance, d *tezsign.Device, q TezSignKeysArgs, show func(string),
	) (any, error) {
		defer clear(q.Passphrase)
		keys, err := d.NewKeys(ctx, q.Aliases, q.Passphrase, func(done, total int) {
			show(fmt.Sprintf("the gadget derives keys: %d of %d done", done, total))
		})
		return newKeyResults(keys), err
	}),
	"unlock": with(func(
		ctx context.Context, _ *Instance, d *tezsign.Device, q TezSignKeysArgs, show func(string),
	) (any, error) {
		defer clear(q.Passphrase)
		show("the gadget derives the keys' secret; signing waits meanwhile")
		return keyResults(d.Unlock(ctx, q.Aliases, q.Passphrase))
	}),
	"lock": with(func(
		ctx context.Context, _ *Instance, d *tezsign.Device, q TezSignKeysArgs, _ func(string),
	) (any, error) {
		return keyResults(d.Lock(ctx, q.Aliases))
	}),
	"delete": with(func(
		ctx context.Context, _ *Instance, d *tezsign.Device, q TezSignKeysArgs, _ func(string),
	) (any, error) {
		defer clear(q.Passphrase)
		return keyResults(d.Delete(ctx, q.Aliases, q.Passphrase))
	}),
	"set-level": with(setGadgetLevel),
	"logs": with(func(ctx context.Context, _ *Instance, d *tezsign.Device, limit int, _ func(string)) (any, error) {
		lines, err := d.Logs(ctx, limit)
		return append([]string{}, lines...), err // none is an empty list
	}),
}

func newKeyResults(keys []tezsign.NewKey) []TezSignResult {
	out := []TezSignResult{}
	for _, k := range keys {
		r := TezSignResult{Alias: k.Alias, PKH: k.PKH}
		if k.Err != nil {
			r.PKH, r.Error = "", k.Err.Error()
		}
		out = append(out, r)
	}
	return out
}

func keyResults(results []tezsign.KeyResult, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	out := []TezSignResult{}
	for _, k := range results {
		r := TezSignResult{Alias: k.Alias, Note: k.Note}
		if k.Err != nil {
			r.Error = k.Err.Error()
		}
		out = append(out, r)
	}
	return out, nil
}

func gadgetInfo(ctx context.Context, d *tezsign.Device) (TezSignInfo, error) {
	v, err := d.Version(ctx)
	if err != nil {
		return TezSignInfo{}, err
	}
	info, err := d.InitInfo(ctx)
	if err != nil {
		return TezSignInfo{}, err
	}
	keys, err := d.KeyStates(ctx)
	return TezSignInfo{
		Name: d.Name(), Serial: d.Status().ID, Version: v.Version, BuildDate: v.BuildDate,
		Initialised: info.Master, Deterministic: info.Deterministic, Keys: keys,
	}, err
}

// setGadgetLevel raises a gadget's marks, and knows the host's.
func setGadgetLevel(
	ctx context.Context, in *Instance, d *tezsign.Device, q TezSignLevelArgs, _ func(string),
) (any, error) {
	if err := in.near(ctx, q.Level, q.Far); err != nil {
		return nil, err
	}
	alias, err := tezsign.FoldAlias(q.Alias)
	if err != nil {
		return nil, err
	}
	host := int32(-1)
	for _, k := range d.Keys() {
		if k.Alias != alias {
			continue
		}
		for _, key := range hwm.KeysOf(in.Config.ChainID, k.PublicKey.Hash()) {
			st, stateErr := in.Store.State(key)
			if stateErr != nil {
				return nil, stateErr
			}
			if st.Mark != nil {
				host = max(host, st.Mark.Level)
			}
		}
	}
	err = d.SetLevel(ctx, alias, q.Level, tezsign.LevelOptions{HostMark: host, Repair: q.Repair})
	if errors.Is(err, tezsign.ErrUnknownAlias) {
		err = hints.Add(err, "see: highwater tezsign status")
	}
	return "done", err
}
