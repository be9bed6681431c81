package outcome

// LockFree tells whether nobody holds the lock of the counted refusals now.
func (b *Book) LockFree() bool {
	if !b.refused.mu.TryLock() {
		return false
	}
	b.refused.mu.Unlock()
	return true
}
