package operate

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"highwater/hwm"
	"highwater/internal/audit"
	"highwater/internal/certs"
	"highwater/internal/device"
	"highwater/internal/hints"
	"highwater/internal/tezos"
	"highwater/register"
	"highwater/signer"
)

// Status gives the whole state of the instance.
func (l *Local) Status(ctx context.Context) (Status, error) {
	keys := l.Signer.KeysHealth()
	// A failed store gives no marks any more. The status then tells the failure.
	broken := l.Store.Healthy()
	marks := []MarkRow{}
	if broken == nil {
		var err error
		if marks, err = l.Marks(ctx); err != nil {
			return Status{}, err
		}
	}
	me := l.Store.Instance()
	st := Status{
		Version: l.Version, Name: l.Name, Running: l.Running, Signing: l.Running && l.Signer.Active(),
		Instance: hex.EncodeToString(me[:]),
		Chain:    l.Signer.Chain().String(), Network: tezos.NetworkName(l.Signer.Chain()), Head: l.head(), Role: l.role(),
		Store: StoreOK, Devices: []DeviceRow{}, Keys: l.keyRows(keys),
		Marks: marks,
	}
	if broken != nil {
		st.Store = broken.Error()
		if hint := hints.Of(broken); hint != "" {
			st.Store += "; " + hint
		}
	}
	for _, d := range l.Signer.Devices() {
		st.Devices = append(st.Devices, DeviceRow{d.Name, d.Status, len(d.Keys)})
	}
	if l.LastAsked != nil {
		if at := l.LastAsked(); !at.IsZero() {
			st.LastAsked = &at
		}
	}
	st.Alarms, st.Guard, st.LastRun = l.Signer.Alarms(), l.guarded(), l.LastRun
	st.Warnings = l.Early.Standing()
	switch {
	case l.Register != nil:
		v := l.Register.View()
		st.Register = &v
	case l.Shared && l.Seen != nil:
		v := register.Remembered(l.Seen())
		st.Register = &v
	case l.Node != nil:
		v := l.Node.View()
		st.Pair = &v
	}
	st.NotReady, st.Notes = l.notReady(st, keys)
	if l.Certificates != nil {
		st.Certificates = l.Certificates()
		st.Notes = append(st.Notes, certificateNotes(st.Certificates, l.Now())...)
	}
	if l.Audit != nil {
		st.Audit = l.Audit()
		st.Notes = append(st.Notes, auditNotes(st.Audit)...)
	}
	st.Ahead = ahead(keys)
	st.Ready = len(st.NotReady) == 0
	st.Rights = l.rightsAhead(st.Keys)
	return st, nil
}

// head is the newest head of the node's answers.
func (l *Local) head() *Head {
	if l.Node == nil {
		return nil
	}
	known := l.Node.Heads().Known()
	if known == nil || !known.Node {
		return nil
	}
	return &Head{known.Level, known.At.UTC()}
}

// notReady gives the reasons against signing now, none for a ready instance, and notes worth knowing.
func (l *Local) notReady(st Status, keys []signer.KeyHealth) (no, notes []string) {
	if !l.Running {
		no = append(no, "the daemon does not run: highwater serve")
	}
	if st.Store != StoreOK {
		no = append(no, "store: "+st.Store)
	}
	if st.Role.Role != hwm.Active {
		no = append(no, "role: "+st.Role.Role.String()+": "+st.Role.Why)
	} else if l.Running && !st.Signing {
		no = append(no, "role: "+l.whyClosed(st))
	}
	away := map[string]bool{}
	for _, d := range st.Devices {
		if away[d.Name] = d.Health != device.Ready; away[d.Name] {
			no = append(no, fmt.Sprintf("device %s: %s: %s", d.Name, d.Health, d.Advice))
		}
	}
	if len(st.Keys) == 0 {
		no = append(no, "keys: none is known yet")
	}
	reasons, asides := signer.Readiness(keys)
	for _, r := range reasons {
		if !away[r.Device] { // the line of the device says the same
			no = append(no, keyLine(r))
		}
	}
	for _, r := range asides {
		notes = append(notes, keyLine(r))
	}
	return no, notes
}

// certificateNotes tell of certificates that are not as they should be. No listener ends for its certificate.
func certificateNotes(rows []certs.Row, now time.Time) (out []string) {
	for _, r := range rows {
		if text, _ := r.Trouble(now); text != "" {
			out = append(out, "certificate: "+text)
		}
	}
	return out
}

// auditNotes tell of an audit log that is not written. Signing goes on.
func auditNotes(s *audit.State) []string {
	if s == nil || s.Fault == "" {
		return nil
	}
	return []string{"audit log: decisions are missing until its disk takes them: " + s.Fault}
}

// keyLine is a fault of a key in one line.
func keyLine(l signer.KeyLine) string {
	if l.Level != nil {
		return "marks: " + l.Text
	}
	if l.Reason == signer.KeyNoMark {
		return fmt.Sprintf("marks: %s has %s: %s", l.PKH, strings.TrimPrefix(l.Text, "the key has "), l.Hint)
	}
	return fmt.Sprintf("key %s: %s: %s", l.PKH, l.Word(), l.Advice())
}

// ahead gives the keys unable to sign the level after the head.
func ahead(keys []signer.KeyHealth) (out []Ahead) {
	for _, h := range keys {
		for _, f := range h.Faults {
			if f.Level != nil {
				out = append(out, Ahead{h.PKH, f.Level.From, f.Level.Far, f.Text})
			}
		}
	}
	return out
}

// whyClosed says why an active instance admits no request.
func (l *Local) whyClosed(st Status) string {
	if st.Register != nil {
		return sharedWhy(*st.Register)
	}
	if st.Pair != nil && st.Pair.Waiting != "" {
		return st.Pair.Waiting
	}
	return "changing, or stopping"
}
