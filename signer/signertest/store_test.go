package signertest_test

import (
	"testing"

	"highwater/hwm"
	"highwater/signer"
	"highwater/signer/signertest"
	"highwater/store/storetest"
)

func TestConformance(t *testing.T) {
	id := hwm.InstanceID{}
	storetest.Run(t, func(*testing.T) (signer.Store, func() signer.Store) {
		id[0]++
		s := signertest.EmptyStore(id)
		return s, func() signer.Store {
			s = s.Reopen()
			return s
		}
	})
}
