package ledger

import (
	"context"
	"fmt"

	"highwater/internal/device"
)

var _ device.Raiser = (*Device)(nil)

// RaiseMarks compares the device's marks with the host's now. A Ledger asks its user before its mark moves: a mark
// that is behind is returned with the command for raising the mark, and with the screens of the confirmation.
func (d *Device) RaiseMarks(ctx context.Context) (out []device.Standing, err error) {
	err = d.use(ctx, func(s *session) error {
		if wrong := d.prepare(ctx, s); wrong != nil {
			return wrong
		}
		for _, own := range s.deviceMarks(d.cfg.Chain) {
			out = append(out, d.standing(own, s.allowed))
		}
		return nil
	})
	return out, err
}

func (d *Device) standing(own device.Mark, allowed []device.Mark) device.Standing {
	st := device.Standing{PKH: own.PKH, Level: own.Level, Allowed: -1}
	for _, m := range allowed {
		if m.PKH == own.PKH {
			st.Allowed = m.Level
		}
	}
	if st.Allowed <= st.Level {
		return st
	}
	st.Why = "a Ledger asks its user before its mark moves"
	st.Command = d.resetAdvice(st.Allowed)
	st.Screen = resetScreens(st.Allowed)
	return st
}

// resetScreens are the app's screens for RESET, from the first to the last (the app's flow: review, the level,
// reject, accept).
func resetScreens(level int32) []string {
	return []string{"Review Request", fmt.Sprintf("Reset HWM %d", level), "Reject", "Accept"}
}
