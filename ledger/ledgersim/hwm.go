package ledgersim

import "highwater/internal/tezos"

// mark is the app's water mark of one class of chains.
type mark struct {
	level, round   uint32
	hadAtt, hadPre bool
}

// allows tells whether the app signs (kind, level, round). A block needs strictly more than the mark. At the mark
// itself one preattestation and one attestation are open, in this order.
func (m mark) allows(kind tezos.Kind, level, round uint32) bool {
	switch {
	case level&hwmLevelFlags != 0 || level < m.level:
		return false
	case level > m.level || round > m.round:
		return true
	case round < m.round:
		return false
	}
	return kind == tezos.Attestation && !m.hadAtt || kind == tezos.Preattestation && !m.hadAtt && !m.hadPre
}

// signed moves the mark. A manager operation has kind 0, level 0 and round 0: the level stays, the round becomes 0,
// the flags stay.
func (m *mark) signed(kind tezos.Kind, level, round uint32) {
	if level > m.level || round > m.round {
		m.hadAtt, m.hadPre = false, false
	}
	m.level, m.round = max(m.level, level), round
	m.hadAtt = m.hadAtt || kind == tezos.Attestation
	m.hadPre = m.hadPre || kind == tezos.Preattestation
}

// reset is the effect of RESET: the flag of the preattestation survives.
func (m *mark) reset(level uint32) { m.level, m.round, m.hadAtt = level, 0, false }

// record is the app's stored state: one record in NVRAM, one in RAM.
type record struct {
	chain      tezos.ChainID // the main chain; zero: every chain is main
	main, test mark
	key        keyID // the authorised key; no path: no key
}

// markOf picks the mark that covers a chain.
func (r *record) markOf(chain tezos.ChainID) *mark {
	if r.chain == chain || r.chain == (tezos.ChainID{}) {
		return &r.main
	}
	return &r.test
}
