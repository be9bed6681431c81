// Package keys tells the usable keys of each instance of a pair.
package keys

import (
	"fmt"
	"strings"

	"highwater/failover/wire"
	"highwater/internal/checklist"
	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/signer"
)

// Lack is why a side cannot sign with a key; the zero value: the side can.
type Lack struct{ Text, Hint string }

// Lacks looks a key up at an instance.
type Lacks func(tezos.PublicKeyHash) Lack

// Here are the keys of this instance, by signer.KeyHealth.
type Here struct{ Signer *signer.Signer }

// PKHs are the hashes of all keys.
func (k Here) PKHs() []tezos.PublicKeyHash {
	var out []tezos.PublicKeyHash
	for _, info := range k.Signer.Keys() {
		out = append(out, info.PKH)
	}
	return out
}

// Reports are the reports to the peer: "ready", or a word, a colon and the trouble.
func (k Here) Reports() []wire.KeyReport {
	out := []wire.KeyReport{}
	for _, h := range k.Signer.KeysHealth() {
		health := string(device.Ready)
		if f := h.Unable(); f != nil {
			health = f.Word() + ": " + f.Text
		}
		out = append(out, wire.KeyReport{PKH: h.PKH, Health: health})
	}
	return out
}

// Lack asks the signer.
func (k Here) Lack(pkh tezos.PublicKeyHash) Lack { return k.lackAt(pkh, "here") }

// LackInvited is Lack for the peer's operator. The operator asked for the handover, and reads the answer on the peer's
// machine.
func (k Here) LackInvited(pkh tezos.PublicKeyHash) Lack {
	l := k.lackAt(pkh, "there")
	if l.Hint != "" {
		l.Hint = "on the peer's machine: " + l.Hint
	}
	return l
}

func (k Here) lackAt(pkh tezos.PublicKeyHash, where string) Lack {
	h, err := k.Signer.KeyHealth(pkh)
	if err != nil {
		return Lack{"is not known " + where, "connect the key's device, and see: highwater keys list"}
	}
	if f := h.Unable(); f != nil {
		return Lack{"cannot sign " + where + ": " + f.Text, f.Hint}
	}
	return Lack{}
}

// There reads the peer's report. The peer cannot sign with a key that the report does not name.
func There(side []wire.KeyReport) Lacks {
	health := map[tezos.PublicKeyHash]string{}
	for _, k := range side {
		health[k.PKH] = k.Health
	}
	return func(pkh tezos.PublicKeyHash) Lack {
		h, ok := health[pkh]
		switch word, text, told := strings.Cut(h, ": "); {
		case !ok:
			return Lack{"is not known there", "connect the key's device at the peer; at the peer see: highwater keys list"}
		case h == string(device.Ready):
			return Lack{}
		case told:
			return Lack{"cannot sign there: " + text, "on the peer's machine: highwater status"}
		default:
			return Lack{"is " + word + " there", "on the peer's machine: highwater status"}
		}
	}
}

// Usable wants each key in service on the side that signs to be able to sign on the side that is to sign. marks are the
// marks of the side that signs: a key without a mark is new, and worth a warning only, as long as another key has a
// mark.
func Usable(id checklist.ID, keys []wire.KeyReport, marks []wire.Mark, on Lacks, where string) checklist.Line {
	if len(keys) == 0 {
		return checklist.New(id, checklist.Bad, "the signing instance knows no key", "connect its devices")
	}
	serving := map[tezos.PublicKeyHash]bool{}
	for _, m := range marks {
		serving[m.PKH] = true
	}
	out := checklist.New(id, checklist.OK, allUsable(len(keys))+" "+where, "")
	for _, k := range keys {
		l := on(k.PKH)
		switch {
		case l == Lack{}:
		case serving[k.PKH] || len(serving) == 0:
			return checklist.New(id, checklist.Bad, fmt.Sprintf("%s %s", k.PKH, l.Text), l.Hint)
		default:
			out = checklist.New(id, checklist.Warning,
				fmt.Sprintf("%s %s; the key has no watermark and signs nowhere yet", k.PKH, l.Text), l.Hint)
		}
	}
	return out
}

// allUsable counts the usable keys in words.
func allUsable(keys int) string {
	if keys == 1 {
		return "the key is usable"
	}
	return fmt.Sprintf("all %d keys are usable", keys)
}

// Able wants this side to be able to sign with each of its keys, and with the keys of the peer's last report.
func (k Here) Able(said *wire.Report) checklist.Line {
	const id = checklist.Devices
	health := k.Signer.KeysHealth()
	inService := signer.InService(health)
	for _, h := range health {
		if f := h.Unable(); f != nil && (!f.Note || !inService) {
			return checklist.New(id, checklist.Bad, fmt.Sprintf("%s cannot sign here: %s", h.PKH, f.Text), f.Hint)
		}
	}
	if len(health) == 0 {
		return checklist.New(id, checklist.Bad, "no key is known here", "connect the device with the keys")
	}
	if said != nil && len(said.Keys) > 0 && len(said.Marks) > 0 {
		if f := Usable(id, said.Keys, said.Marks, k.Lack, "here"); f.Result != checklist.OK {
			return f
		}
	}
	return k.NoteSpares(checklist.New(id, checklist.OK, allUsable(len(health)), ""))
}

// NoteSpares adds to a good line of the keys here the devices that are configured as spares, and are none.
func (k Here) NoteSpares(f checklist.Line) checklist.Line {
	if f.Result != checklist.OK {
		return f
	}
	for _, h := range k.Signer.KeysHealth() {
		for _, no := range h.NoSpares {
			f.Result, f.Hint = checklist.Warning, no.Hint
			f.Detail += fmt.Sprintf("; %s: %s", h.PKH, no.Text)
		}
	}
	return f
}

// Certified wants this side to be able to sign with the keys of a certificate from a file. Keys unknown here do not
// count as long as another key is known: a certificate has the marks of retired keys, too. A command that opened the
// store and no device cannot tell.
func (k Here) Certified(c *wire.Certificate) checklist.Line {
	const id = checklist.Keys
	var known []wire.KeyReport
	for _, m := range c.Marks {
		if _, err := k.Signer.KeyHealth(m.PKH); err == nil {
			known = append(known, wire.KeyReport{PKH: m.PKH})
		}
	}
	switch {
	case len(c.Marks) == 0 || len(k.Signer.Devices()) == 0:
		return checklist.New(id, checklist.OK, "", "")
	case len(known) == 0:
		return checklist.New(id, checklist.Bad, "no key of the certificate is known here",
			"connect the device with the keys, and see: highwater keys list")
	}
	return Usable(id, known, c.Marks, k.Lack, "here")
}
