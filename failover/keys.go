package failover

import (
	"context"
	"fmt"
	"strings"
	"time"

	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/checklist"
	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/signer"
)

// Which keys can sign on which side. Here signer.KeyHealth says it; there the other side's report does, which is
// made of the same.

// lack is why a side cannot sign with a key; the zero value: it can.
type lack struct{ text, hint string }

// lacks looks a key up on one side.
type lacks func(tezos.PublicKeyHash) lack

// keyReports are what the other side is told. A report that is not "ready" is a word, and behind a colon what is
// the matter.
func (n *Node) keyReports() []wire.KeyReport {
	out := []wire.KeyReport{}
	for _, h := range n.signer.KeysHealth() {
		health := string(device.Ready)
		if f := h.Unable(); f != nil {
			health = f.Word() + ": " + f.Text
		}
		out = append(out, wire.KeyReport{PKH: h.PKH, Health: health})
	}
	return out
}

// lackHere asks the signer.
func (n *Node) lackHere(pkh tezos.PublicKeyHash) lack { return n.lackOwn(pkh, "here") }

// lackInvited is lackHere for the other side's operator, who asked for the handover and reads the answer there.
func (n *Node) lackInvited(pkh tezos.PublicKeyHash) lack {
	l := n.lackOwn(pkh, "there")
	if l.hint != "" {
		l.hint = "on the other machine: " + l.hint
	}
	return l
}

func (n *Node) lackOwn(pkh tezos.PublicKeyHash, where string) lack {
	h, err := n.signer.KeyHealth(pkh)
	if err != nil {
		return lack{"is not known " + where, "connect the device with the key, and see: highwater keys list"}
	}
	if f := h.Unable(); f != nil {
		return lack{"cannot sign " + where + ": " + f.Text, f.Hint}
	}
	return lack{}
}

// lackThere reads the other side's report. A key that the report does not name is one that the other side cannot
// sign with.
func lackThere(side []wire.KeyReport) lacks {
	health := map[tezos.PublicKeyHash]string{}
	for _, k := range side {
		health[k.PKH] = k.Health
	}
	return func(pkh tezos.PublicKeyHash) lack {
		h, ok := health[pkh]
		switch word, text, told := strings.Cut(h, ": "); {
		case !ok:
			return lack{"is not known there", "connect the device that holds it to the other machine, and see there: highwater keys list"}
		case h == string(device.Ready):
			return lack{}
		case told:
			return lack{"cannot sign there: " + text, "on the other machine: highwater status"}
		default:
			return lack{"is " + word + " there", "on the other machine: highwater status"}
		}
	}
}

// usableOn wants each key in service on the side that signs to be able to sign on the side that is to sign. marks
// are those of the side that signs: a key without any is new, and worth a warning only, as long as another key has
// some.
func usableOn(id checklist.ID, keys []wire.KeyReport, marks []wire.Mark, on lacks, where string) checklist.Line {
	if len(keys) == 0 {
		return checklist.New(id, checklist.Bad, "the instance that signs knows no key", "connect its devices")
	}
	serving := map[tezos.PublicKeyHash]bool{}
	for _, m := range marks {
		serving[m.PKH] = true
	}
	out := checklist.New(id, checklist.OK, allUsable(len(keys))+" "+where, "")
	for _, k := range keys {
		l := on(k.PKH)
		switch {
		case l == lack{}:
		case serving[k.PKH] || len(serving) == 0:
			return checklist.New(id, checklist.Bad, fmt.Sprintf("%s %s", k.PKH, l.text), l.hint)
		default:
			out = checklist.New(id, checklist.Warning, fmt.Sprintf("%s %s; it has no watermark and signs nowhere yet", k.PKH, l.text), l.hint)
		}
	}
	return out
}

// allUsable says so of that many keys.
func allUsable(keys int) string {
	if keys == 1 {
		return "the key is usable"
	}
	return fmt.Sprintf("all %d keys are usable", keys)
}

// evidenceKeys wants this side to be able to sign with each of its keys, and with those that the other side signed
// with.
func (n *Node) evidenceKeys() checklist.Line {
	const id = checklist.Devices
	health := n.signer.KeysHealth()
	inService := signer.InService(health)
	for _, h := range health {
		if f := h.Unable(); f != nil && (!f.Note || !inService) {
			return checklist.New(id, checklist.Bad, fmt.Sprintf("%s cannot sign here: %s", h.PKH, f.Text), f.Hint)
		}
	}
	if len(health) == 0 {
		return checklist.New(id, checklist.Bad, "no key is known here", "connect the device that holds the keys")
	}
	if said, ok := n.lastReport(); ok && len(said.Keys) > 0 && len(said.Marks) > 0 {
		if f := usableOn(id, said.Keys, said.Marks, n.lackHere, "here"); f.Result != checklist.OK {
			return f
		}
	}
	return n.noteSpares(checklist.New(id, checklist.OK, allUsable(len(health)), ""))
}

// noteSpares adds to a good line of the keys here which device is no spare, though it is meant to be one.
func (n *Node) noteSpares(f checklist.Line) checklist.Line {
	if f.Result != checklist.OK {
		return f
	}
	for _, h := range n.signer.KeysHealth() {
		for _, no := range h.NoSpares {
			f.Result, f.Hint = checklist.Warning, no.Hint
			f.Detail += fmt.Sprintf("; %s: %s", h.PKH, no.Text)
		}
	}
	return f
}

// lastReport is what the other instance said last of its keys, however long ago.
func (n *Node) lastReport() (*wire.Report, bool) {
	peer, _ := n.store.Peer()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.said == nil || n.said.From != peer.Key || n.said.Status == nil {
		return nil, false
	}
	return n.said.Status, true
}

// freshReport is how old a report may be that a release rests on. The other side is asked each second.
const freshReport = 5 * time.Second

// lookAtKeys asks the other side, which wants the right to sign, with which keys it can sign, unless it said so a
// moment ago and nothing is in the way.
func (n *Node) lookAtKeys(ctx context.Context) {
	mine := n.store.Role()
	peer, ok := n.store.Peer()
	if !ok || mine.Owner != n.Me() || mine.Epoch == 0 || mine.Role == hwm.Fenced || n.fitThere(peer) == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	start := n.now()
	a, err := n.probe(ctx, peer)
	n.noted(a, start, err)
}

// fitThere refuses to give the right to sign to an instance that cannot sign with each key in service here, or did
// not say so lately.
func (n *Node) fitThere(peer hwm.Peer) error {
	n.mu.Lock()
	at, lastErr := n.heardAt, n.lastErr
	n.mu.Unlock()
	said, ok := n.lastReport()
	if !ok || lastErr != nil || n.now().Sub(at) > freshReport {
		why := "it was not heard lately"
		if lastErr != nil {
			why = lastErr.Error()
		}
		return wire.Refuse(wire.NotReady, "bring the link from this machine to the other one back: highwater peer show, on both",
			"the instance %s did not say with which keys it can sign: %s", peer.Key.Short(), why)
	}
	return n.fit(peer, said)
}

// fitAsFar is fitThere for a certificate in a file: what is not known is no reason, since there may be no link.
func (n *Node) fitAsFar(peer hwm.Peer) error {
	if said, ok := n.lastReport(); ok {
		return n.fit(peer, said)
	}
	return nil
}

func (n *Node) fit(peer hwm.Peer, said *wire.Report) error {
	rows, err := n.rows()
	if err != nil {
		return err
	}
	marks, keys := make([]wire.Mark, 0, len(rows)), n.keyReports()
	for _, r := range rows {
		marks = append(marks, wire.Mark{PKH: r.PKH})
	}
	if f := usableOn(checklist.Keys, keys, marks, lackThere(said.Keys), "there"); f.Result == checklist.Bad && len(keys) > 0 {
		return wire.Refuse(wire.NotReady, f.Hint, "the instance %s cannot take the right to sign: %s", peer.Key.Short(), f.Detail)
	}
	return nil
}

// certifiedKeys wants this side to be able to sign with the keys of a certificate that came in a file. Of keys that
// are not known here nothing is asked as long as another key is known: a certificate has the marks of retired keys,
// too. A command that opened the store and no device cannot tell.
func (n *Node) certifiedKeys(c *wire.Certificate) checklist.Line {
	const id = checklist.Keys
	var keys []wire.KeyReport
	for _, m := range c.Marks {
		if _, err := n.signer.KeyHealth(m.PKH); err == nil {
			keys = append(keys, wire.KeyReport{PKH: m.PKH})
		}
	}
	switch {
	case len(c.Marks) == 0 || len(n.signer.Devices()) == 0:
		return checklist.New(id, checklist.OK, "", "")
	case len(keys) == 0:
		return checklist.New(id, checklist.Bad, "no key of the certificate is known here", "connect the device that holds the keys, and see: highwater keys list")
	}
	return usableOn(id, keys, c.Marks, n.lackHere, "here")
}
