// Package glance tells what a person sees of an instance at a glance; the status page and the terminal show the same.
package glance

import (
	"context"

	"highwater/internal/history"
	"highwater/internal/tezos"
	"highwater/operate"
)

// View is the status with its history.
type View struct {
	operate.Status
	State  State
	Cards  []Key
	Series []history.Series
	Left   int // series left out
}

// Read looks at an instance, and at most at a number of its series (0: all).
func Read(ctx context.Context, a operate.Monitor, most int) (View, error) {
	st, err := a.Status(ctx)
	if err != nil {
		return View{}, err
	}
	series, left, err := a.History(ctx, most)
	if err != nil {
		return View{}, err
	}
	return View{Status: st, State: StateOf(st), Cards: keys(st), Series: series, Left: left}, nil
}

// Short is an address for a heading: its ends.
func (View) Short(pkh tezos.PublicKeyHash) string {
	text := pkh.String()
	return text[:7] + "…" + text[len(text)-4:]
}

// Touch is whether the other machine answers.
type Touch struct {
	Class string // good, bad; empty: not known yet
	Text  string
}

// Touch tells whether the other machine of a pair answers.
func (v View) Touch() Touch {
	switch {
	case v.Pair == nil || v.Pair.Peer == nil:
		return Touch{}
	case v.Pair.Peer.Reachable:
		return Touch{"good", "answers"}
	case v.Pair.Peer.Error != "" || v.Pair.Peer.HeardAt != nil:
		return Touch{"bad", "not in touch"}
	}
	return Touch{"", "not asked yet"}
}
