package tezos

// Prepared returns when all that needs no signature is done.
func (a *Awaited) Prepared() {
	half := <-a.half
	a.half <- half
}
