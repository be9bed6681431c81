package failover

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/baker"
	"highwater/internal/tezos"
	"highwater/signer"
)

// TestAFalseStatementGivesUpWhatIsUnderWay: an owner that hears, while its device works, that the other side took over does not wait for the
// device: the other side signs, maybe at the same level, so what is under way never leaves.
func TestAFalseStatementGivesUpWhatIsUnderWay(t *testing.T) {
	for _, both := range []bool{false, true} {
		p := newPair(t)
		a, b := p.begin()
		_, err := b.node.Ask(t.Context())
		require.NoError(t, err)
		p.wire.cut = true
		if both { // a took over too: two owners of one epoch
			a.restart()
			_, err = a.node.Takeover(t.Context(), TakeoverRequest{CannotSign: true, Head: &p.level})
			require.NoError(t, err)
		}
		_, err = b.node.Takeover(t.Context(), TakeoverRequest{CannotSign: true, Head: &p.level})
		require.NoError(t, err)
		p.level += Margin + 1
		a.gadget.hold, a.gadget.in = make(chan struct{}), make(chan struct{}, 1)
		key := a.gadget.keys[0].PublicKey()
		ended := make(chan error, 1)
		go func() {
			_, denied := a.signer.Sign(t.Context(), key.Hash(), baker.Step{Chain: ghost, Kind: tezos.Attestation, Level: p.level}.Payload(key.Curve()))
			ended <- denied
		}()
		<-a.gadget.in
		p.wire.cut = false
		began := time.Now()
		_, err = a.node.Ask(t.Context())
		took := time.Since(began)
		close(a.gadget.hold)
		require.NoError(t, err)
		var denial *signer.Denial
		require.ErrorAs(t, <-ended, &denial)
		require.Less(t, took, signer.DrainTimeout, "it waited for the device")
		require.NotEqual(t, hwm.Active, a.role().Role)
	}
}
