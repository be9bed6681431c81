// Package register agrees with other machines on the right to sign, through a record in a common register with
// compare-and-set (etcd, package register/etcd). The record names an owner and a horizon. The owner may sign up to the
// horizon. A takeover starts above the horizon: two owners never share a level. No clock, lease or time-out decides on
// the right to sign.
//
// record.go is the record, backend.go the register's contract, right.go the protocol. model/cluster.pml is the same
// protocol for Spin.
package register
