package ledger

import (
	"context"
	"fmt"

	"highwater/internal/device"
)

var _ device.Raiser = (*Device)(nil)

// RaiseMarks has the device's marks compared with the host's now. A Ledger asks its user before it moves its mark, so what is behind
// comes with the command that raises it, and with the screens on which it is confirmed.
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
	st.Why = "a Ledger asks before it raises its mark"
	st.Command = d.resetAdvice(st.Allowed)
	st.Screen = resetScreens(st.Allowed)
	return st
}

// resetScreens are what the app shows for RESET, from the first to the last (its ui flow: review, the level, reject, accept).
func resetScreens(level int32) []string {
	return []string{"Review Request", fmt.Sprintf("Reset HWM %d", level), "Reject", "Accept"}
}
