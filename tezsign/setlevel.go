package tezsign

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"highwater/internal/tezos"
	pb "highwater/tezsign/tezsignpb"
)

// LevelOptions are the operator's words for SetLevel.
type LevelOptions struct {
	// HostMark is the highest level of the host's own marks and floors for the key, over all kinds; -1: no marks.
	HostMark int32
	// Repair says that the operator wants a key back after the gadget has lost the key's watermark (state_corrupted).
	// The gadget would take any level for the key, even a level already signed.
	Repair bool
	// Before is called with the key before the level is sent. An error stops SetLevel before the level is sent. May
	// be nil.
	Before func(pkh tezos.PublicKeyHash) error
}

// ErrNeedsRepair is wrapped when a level is set on a key with a corrupted state without the operator's word.
var ErrNeedsRepair = errors.New("setting the level of a corrupted key needs the operator's word")

// ErrLocked is wrapped when the key to set is locked. The gadget was not asked.
var ErrLocked = errors.New("the key is locked")

// ErrTooLow is wrapped when a level is not above the gadget's or the host's mark.
var ErrTooLow = errors.New("the level is too low")

// SetLevel raises all three of the gadget's marks for a key to (level, round 0): after SetLevel the gadget signs
// nothing at level, round 0 and below. A corrupted key is set only with Repair, and only to the host's own mark + 1
// or above.
func (m *Manager) SetLevel(ctx context.Context, alias string, level int32, o LevelOptions) error {
	alias, err := FoldAlias(alias)
	if err != nil {
		return err
	}
	return m.with(ctx, nil, func(s *session) error { return m.setLevel(ctx, s, alias, level, o) })
}

func (m *Manager) setLevel(ctx context.Context, s *session, alias string, level int32, o LevelOptions) error {
	keys, err := status(ctx, s, m.keys)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(keys, func(k KeyState) bool { return k.Alias == alias })
	if at < 0 {
		return fmt.Errorf("%s: %w", alias, ErrUnknownAlias)
	}
	if err = mayRaise(keys[at], level, o); err != nil {
		return err
	}
	if o.Before != nil {
		if err = o.Before(keys[at].PKH); err != nil {
			return err
		}
	}
	req := &pb.SetLevel{KeyId: alias, Level: uint64(level)} //nolint:gosec // mayRaise refuses negative ones
	resp, err := s.do(ctx, callSetLevel, &pb.Request{Body: &pb.Request_SetLevel{SetLevel: req}})
	if err != nil {
		return err
	}
	return readOk(resp, "set_level")
}

// mayRaise keeps a level from being lowered: the gadget would allow lowering after a corruption.
func mayRaise(k KeyState, level int32, o LevelOptions) error {
	switch {
	case level < 1:
		return fmt.Errorf("%s: %w: %d", k.Alias, ErrTooLow, level)
	case k.Corrupted && !o.Repair:
		return fmt.Errorf("%s: %w: %w", k.Alias, ErrNeedsRepair, ErrCorrupted)
	case k.Corrupted && level <= o.HostMark:
		return fmt.Errorf("%s: %w: the host has signed at level %d, and the new level must be at least %d",
			k.Alias, ErrTooLow, o.HostMark, int64(o.HostMark)+1)
	case k.Corrupted:
		return nil
	case k.Locked:
		return fmt.Errorf("%w: first run highwater tezsign unlock %s", ErrLocked, k.Alias)
	case level <= k.Level():
		return fmt.Errorf("%s: %w: the gadget is at level %d", k.Alias, ErrTooLow, k.Level())
	default:
		return nil
	}
}
