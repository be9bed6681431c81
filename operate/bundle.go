package operate

import (
	"context"

	"highwater/hwm/bundle"
)

// Bundle makes a signed bundle of the present marks and ceilings.
func (l *Local) Bundle(ctx context.Context) (bundle.Bundle, error) {
	if l.Identity == nil {
		return bundle.Bundle{}, &Refusal{Reason: NoIdentity, Text: "the instance's key is not open here"}
	}
	role := l.Store.Role()
	b := bundle.Bundle{
		Chain: l.Signer.Chain(), Role: role.Role, Epoch: role.Epoch, Owner: role.Owner, Build: l.Version, When: l.Now(),
	}
	b.AuditHead = l.auditHead(ctx) // before the marks: no signature up to the head is above the marks
	keys, err := l.Keys(ctx)
	if err != nil {
		return bundle.Bundle{}, err
	}
	for _, k := range keys {
		b.Keys = append(b.Keys, bundle.Key{PKH: k.PKH, PublicKey: k.PublicKey, Alias: k.Alias, Allow: k.Allow})
	}
	rows, err := l.Store.Rows()
	if err != nil {
		return bundle.Bundle{}, err
	}
	if _, err = l.Store.Raise(nil); err != nil { // returns once the whole memory is durable
		return bundle.Bundle{}, err
	}
	for _, r := range rows {
		if r.Chain == b.Chain {
			b.Marks = append(b.Marks, bundle.Mark{
				PKH: r.PKH, Kind: r.Kind, Level: r.Level, Round: r.Round, Source: r.Source.Told(), UpdatedAt: r.At,
			})
		}
	}
	for key, c := range l.Store.Ceilings() {
		if key.Chain == b.Chain {
			b.Ceilings = append(b.Ceilings, bundle.Ceiling{PKH: key.PKH, Level: c.Level, Source: c.Source})
		}
	}
	signed, err := bundle.Sign(b, l.Identity)
	if err != nil {
		return bundle.Bundle{}, err
	}
	return *signed, nil
}
