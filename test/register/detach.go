package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"highwater/internal/baker"
	"highwater/internal/tezos"
	"highwater/register"
	"highwater/test/harness"
)

// leave lets a standby leave the register for good: refused while the standby runs, and while an owner lives. Once all
// others are dead the standby goes on alone, above all that the register allowed. The last scenario of a world: one
// machine is left.
func leave(ctx context.Context, w *world, owner *machine) error {
	s := w.other(owner)
	if err := refusedWith("needs a stopped instance")(w.detach(ctx, s)); err != nil {
		return err
	}
	s.up = false
	err := errors.Join(s.Stop(), refusedWith("another instance signs by the register")(w.detach(ctx, s)))
	for _, m := range w.machines {
		if m != s {
			m.up = false
			err = errors.Join(err, m.Kill())
		}
	}
	if err != nil {
		return err
	}
	value, err := w.record(ctx)
	if err != nil {
		return err
	}
	last, err := register.Parse(value)
	if err != nil {
		return err
	}
	left := time.Now()
	floor, err := w.detach(ctx, s)
	if err != nil {
		return err
	}
	w.note = fmt.Sprintf("alone above level %d, %d above the horizon", floor, floor-last.Horizon)
	if floor <= last.Horizon {
		return fmt.Errorf("the floor %d does not cover the horizon %d", floor, last.Horizon)
	}
	_, err = s.Command(ctx, "serve")
	if err = refusedWith("left the register for good")(0, err); err != nil {
		return err
	}
	return errors.Join(s.goAlone(ctx), w.above(ctx, s, left, floor))
}

// detach gives the command to a machine, with the chain's head, and gives the floor.
func (w *world) detach(ctx context.Context, m *machine) (int32, error) {
	head, _ := w.now()
	out, err := m.Command(ctx, "register", "detach", "--the-other-instances-cannot-sign", "--json", "--head", fmt.Sprint(head))
	if err != nil {
		return 0, err
	}
	var v struct {
		Floor int32 `json:"floor"`
		Read  bool  `json:"register_read"`
	}
	if err = json.Unmarshal(out, &v); err == nil && !v.Read {
		err = errors.New("the register was not read")
	}
	return v.Floor, err
}

// refusedWith wants an error with these words.
func refusedWith(words string) func(int32, error) error {
	return func(_ int32, err error) error {
		if err == nil || !strings.Contains(err.Error(), words) {
			return fmt.Errorf("not refused with %q: %w", words, err)
		}
		return nil
	}
}

// goAlone takes the register out of the configuration, and lets the machine sign.
func (m *machine) goAlone(ctx context.Context) error {
	path := filepath.Join(m.Dir, "highwater.toml")
	text, err := os.ReadFile(path) //nolint:gosec // the lab's own
	if err != nil {
		return err
	}
	text = regexp.MustCompile(`(?s)\[register\]\n.*?\n(\[)`).ReplaceAll(text, []byte("$1"))
	if err = os.WriteFile(path, text, 0o600); err != nil { //nolint:gosec // the lab's own
		return err
	}
	if _, err = m.Command(ctx, "activate", "--yes"); err != nil {
		return err
	}
	return m.start(ctx)
}

// above wants a lone machine to refuse its floor, to sign each level above, and to have signed nothing below.
func (w *world) above(ctx context.Context, m *machine, since time.Time, floor int32) error {
	client := m.Client(false)
	defer client.Close()
	for _, key := range append(w.keys, w.probe) {
		step := baker.Step{Chain: harness.Chain, Kind: tezos.Attestation, Level: floor, Round: 1 << 20, Variant: 'z'}
		if _, err := client.SignOnly(ctx, key, step.Payload(key.Curve())); err == nil {
			return fmt.Errorf("key %s signed at the floor %d", key.Hash(), floor)
		}
	}
	for level := int32(0); level <= floor+2; level, _ = w.now() {
		if err := w.levels(ctx, 1); err != nil {
			return err
		}
	}
	if n := w.missed(floor+1, floor+2); n > 0 {
		return fmt.Errorf("%d levels above the floor %d were missed", n, floor)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for at, when := range w.done {
		if when.After(since) && at.level <= floor {
			return fmt.Errorf("level %d was signed by a machine with the floor %d", at.level, floor)
		}
	}
	return nil
}
