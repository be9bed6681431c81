// Package tezsignpb holds the protobuf messages of a TezSign gadget, generated from tezsign.proto.
package tezsignpb

//go:generate ./generate.sh
