package register

// StepIsOver tells whether no step is under way.
func (k *Keeper) StepIsOver() bool {
	if !k.act.TryLock() {
		return false
	}
	k.act.Unlock()
	return true
}
