package tezos

// Awaited is a payload whose signature a device is asked for.
type Awaited struct {
	key     *PublicKey
	payload []byte
	half    chan func(sig []byte) bool // nil: nothing is to be done beforehand
}

// preparer is a BLS key's verifier, with the half of a check that needs no signature.
type preparer interface {
	prepare(payload []byte) func(sig []byte) bool
}

// Await begins to verify a signature that is not there yet: for tz4, half of the work is done while the device works.
// The payload must not change before Verify returns.
func (k *PublicKey) Await(payload []byte) *Awaited {
	a := &Awaited{key: k, payload: payload}
	if p, ok := k.verifier.(preparer); ok {
		a.half = make(chan func([]byte) bool, 1)
		go func() { a.half <- p.prepare(payload) }()
	}
	return a
}

// Verify is PublicKey.Verify of the awaited payload. Verify may be called once.
func (a *Awaited) Verify(sig Signature) error {
	if a.half == nil {
		return a.key.Verify(a.payload, sig)
	}
	return a.key.verify(sig, <-a.half)
}

// OtherScheme is PublicKey.OtherScheme of the awaited payload.
func (a *Awaited) OtherScheme(sig Signature) string { return a.key.OtherScheme(a.payload, sig) }
