package verdict

import (
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
)

// TestTheVerdictIsTheSameForBothSides.
func TestTheVerdictIsTheSameForBothSides(t *testing.T) {
	roles := []hwm.Role{hwm.Standby, hwm.Active, hwm.Fenced}
	ids := []hwm.InstanceID{{1}, {2}, {3}}
	up := new(int32)
	*up = 7
	var all [2][]Party
	for i := range all {
		for _, role := range roles {
			for epoch := range uint64(3) {
				for _, owner := range ids {
					for flags := range 8 {
						x := Party{
							ID: ids[i], Heard: true, Role: role, Epoch: epoch, Owner: owner, Signing: flags&1 != 0,
							Broken: flags&2 != 0,
						}
						if flags&4 != 0 {
							x.UpTo = up
						}
						all[i] = append(all[i], x)
					}
				}
			}
		}
	}
	for _, x := range all[0] {
		for _, y := range all[1] {
			if x.Epoch == y.Epoch && x.Owner != y.Owner && (!x.owns() || !y.owns()) {
				continue // an epoch has one owner, but for two takeovers
			}
			require.Equal(t, Of(x, y), Of(y, x), "%+v %+v", x, y)
		}
	}
}
