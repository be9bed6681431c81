package hwm

// RegisterSeen is the newest state that an instance has seen of a shared register. A register with an older state was
// put back, and gives nobody the right to sign. The zero value: no register was ever seen.
type RegisterSeen struct {
	Cluster  uint64 `json:"cluster"`  // the identity of the register's servers
	Revision int64  `json:"revision"` // of the newest answer
	Epoch    uint64 `json:"epoch"`
	Horizon  int32  `json:"horizon"` // of the epoch: the level up to which its owner may sign
	// Aside is the reason why an operator keeps this instance from taking the right by itself; empty: nothing keeps it.
	Aside string `json:"aside,omitempty"`
	// Detached is when this instance left the register, for good, in milliseconds of Unix time; zero: it has not.
	Detached int64 `json:"detached,omitempty"`
}
