package signer

// LocksFree tells whether nobody holds a lock of the signer now.
func (s *Signer) LocksFree() bool {
	for _, try := range []interface {
		TryLock() bool
		Unlock()
	}{&s.roleMu, &s.alarms.mu, &s.alarms.keep, &s.gate.mu, &s.ring.mu, &s.refused.mu} {
		if !try.TryLock() {
			return false
		}
		try.Unlock()
	}
	for _, k := range s.ring.all() {
		for _, l := range k.locks {
			select {
			case l.baton <- struct{}{}:
				<-l.baton
			default:
				return false
			}
		}
	}
	return true
}
