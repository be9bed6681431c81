// Package register agrees with other machines on the right to sign, through one record in a register that all of them can read and
// compare-and-set (etcd, package register/etcd). The record names an owner and a horizon. The owner may sign up to the horizon. A
// takeover starts above the horizon, so that two owners never share a level. No clock, lease or time-out decides who may sign.
//
// record.go is the record, backend.go the register's contract, right.go the protocol. model/cluster.pml is the same protocol for Spin.
package register
