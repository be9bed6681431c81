package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"highwater/internal/tezos"
)

// Sync is a node's word on its synchronisation. State is synced, unsynced or stuck. Bootstrapped stays true until the
// node ends; State is of the moment.
type Sync struct {
	Bootstrapped bool
	State        string
}

// Synced tells whether the node follows the chain's head.
func (s Sync) Synced() bool { return s.Bootstrapped && s.State == "synced" }

// Sync asks whether the node has caught up.
func (c *Client) Sync(ctx context.Context) (Sync, error) {
	return ask(ctx, c, "/chains/main/is_bootstrapped", nil, maxSmall, parseSync)
}

func parseSync(b []byte) (Sync, error) {
	var v struct {
		Bootstrapped *bool  `json:"bootstrapped"`
		State        string `json:"sync_state"`
	}
	if err := read(b, &v); err != nil {
		return Sync{}, err
	}
	if v.Bootstrapped == nil {
		return Sync{}, errors.New("bootstrapped is missing")
	}
	switch v.State {
	case "synced", "unsynced", "stuck":
		return Sync{*v.Bootstrapped, v.State}, nil
	}
	return Sync{}, fmt.Errorf("unknown sync_state %.40q", v.State)
}

// Version is a node's word on its build.
type Version struct {
	Major, Minor int
	Additional   string // "release", "dev", or JSON such as {"rc":1}
	Commit       string
	Network      string // the chain's name in the peer-to-peer network, e.g. TEZOS_MAINNET
}

func (v Version) String() string {
	text := fmt.Sprintf("octez %d.%d", v.Major, v.Minor)
	if v.Additional != "" && v.Additional != "release" {
		text += " (" + v.Additional + ")"
	}
	return text
}

// Version asks for the node's version.
func (c *Client) Version(ctx context.Context) (Version, error) {
	return ask(ctx, c, "/version", nil, maxSmall, parseVersion)
}

func parseVersion(b []byte) (Version, error) {
	var v struct {
		Version *struct {
			Major      int             `json:"major"`
			Minor      int             `json:"minor"`
			Additional json.RawMessage `json:"additional_info"`
		} `json:"version"`
		Network struct {
			Name string `json:"chain_name"`
		} `json:"network_version"`
		Commit struct {
			Hash string `json:"commit_hash"`
		} `json:"commit_info"`
	}
	if err := read(b, &v); err != nil {
		return Version{}, err
	}
	if v.Version == nil || v.Version.Major < 0 || v.Version.Minor < 0 {
		return Version{}, errors.New("no version")
	}
	out := Version{
		Major: v.Version.Major, Minor: v.Version.Minor, Additional: string(v.Version.Additional),
		Commit: cut(v.Commit.Hash), Network: cut(v.Network.Name),
	}
	var text string
	if err := json.Unmarshal(v.Version.Additional, &text); err == nil {
		out.Additional = text
	}
	out.Additional = cut(out.Additional)
	return out, nil
}

// cut bounds a text for people.
func cut(s string) string {
	const longest = 80
	if len(s) > longest {
		return s[:longest]
	}
	return s
}

// Health is the result of Check.
type Health struct {
	Chain tezos.ChainID
	Sync  Sync
	Head  Header
	Age   time.Duration // of the head, by this machine's clock
}

// Check wants the node to follow the chain, to have caught up, and to have a head no older than maxAge. The findings so
// far come with the error: ErrWrongChain, ErrNotSynced, or the failure of a question.
func (c *Client) Check(
	ctx context.Context, chain tezos.ChainID, now time.Time, maxAge time.Duration,
) (h Health, err error) {
	if h.Chain, err = c.ChainID(ctx); err != nil {
		return h, err
	}
	if h.Chain != chain {
		return h, c.wrongChain(h.Chain, chain)
	}
	if h.Sync, err = c.Sync(ctx); err != nil {
		return h, err
	}
	if h.Head, err = c.Head(ctx); err != nil {
		return h, err
	}
	h.Age = now.Sub(h.Head.Timestamp)
	notSynced := &Error{
		Node: c.shown, Kind: ErrNotSynced,
		Hint: "wait for the node: octez-client bootstrapped; afterwards look at the node's log and peers",
	}
	switch {
	case !h.Sync.Bootstrapped:
		notSynced.Detail = fmt.Sprintf("still catching up, at level %d", h.Head.Level)
	case !h.Sync.Synced():
		notSynced.Detail = fmt.Sprintf("sync state %s, at level %d", h.Sync.State, h.Head.Level)
	case h.Age > maxAge:
		notSynced.Detail = fmt.Sprintf("the head, level %d, is %s old", h.Head.Level, h.Age.Round(time.Second))
		notSynced.Hint = "see that the clock here is right (timedatectl), and that the node has peers"
	default:
		return h, nil
	}
	return h, notSynced
}
