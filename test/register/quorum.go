package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"highwater/internal/baker"
	"highwater/internal/tezos"
	"highwater/test/harness"
)

// mainnetLevel is the longest time from the return of the register to a signature.
const mainnetLevel = 6 * time.Second

// leaders are the scenarios about the register's leader and majority. The majority is away for a time.
func leaders(away time.Duration) []scenario {
	return []scenario{
		{"leader of the register killed (-9)", none, killLeader},
		{
			"majority of the register away for " + away.String(), func(int) int { return 1 << 20 }, // judged by loseQuorum
			func(ctx context.Context, w *world, owner *machine) error { return loseQuorum(ctx, w, owner, away) },
		},
		{"a standby leaves the register for good", func(int) int { return 1 << 20 }, leave}, // judged by leave
	}
}

// leader is the number of the register's leader among the living members.
func (w *world) leader(ctx context.Context, living []string) (int, error) {
	out, err := w.ctlAt(ctx, living, nil, "endpoint", "status", "--write-out", "json")
	if err != nil {
		return 0, err
	}
	var members []struct {
		Endpoint string
		Status   struct {
			Header struct {
				Member uint64 `json:"member_id"`
			} `json:"header"`
			Leader uint64 `json:"leader"`
		}
	}
	if err = json.Unmarshal(out, &members); err != nil {
		return 0, fmt.Errorf("etcdctl endpoint status: %w: %s", err, out)
	}
	for _, m := range members {
		i := slices.Index(w.clients, strings.TrimPrefix(m.Endpoint, "https://"))
		if i >= 0 && m.Status.Header.Member == m.Status.Leader {
			return i, nil
		}
	}
	return 0, fmt.Errorf("no member is the leader: %s", out)
}

// killLeader kills the leader under load. The members left elect a new leader, and the dead member comes back.
func killLeader(ctx context.Context, w *world, _ *machine) error {
	i, err := w.leader(ctx, w.clients)
	if err != nil {
		return err
	}
	dead := w.members[i]
	if err = errors.Join(dead.Kill(), w.levels(ctx, 2*w.ahead)); err != nil {
		return errors.Join(err, dead.start())
	}
	left := slices.Delete(slices.Clone(w.clients), i, i+1)
	_, err = w.leader(ctx, left)
	return errors.Join(err, dead.start(), w.levels(ctx, 2), w.awaitOwner(ctx, -1))
}

// loseQuorum stops the leader and a second member for a time. The levels up to the horizon are signed, then a refusal
// names the horizon and the silence, and the signatures come back soon after the members.
func loseQuorum(ctx context.Context, w *world, owner *machine, away time.Duration) error {
	i, err := w.leader(ctx, w.clients)
	if err != nil {
		return err
	}
	stopped := []*server{w.members[i], w.members[(i+1)%machines]}
	if err = w.levels(ctx, 1); err != nil {
		return err
	}
	if m := w.owner(ctx); m != nil { // a machine that comes first may have taken over
		owner = m
	}
	from, _ := w.now()
	err = send(syscall.SIGSTOP, stopped)
	back := time.Now().Add(away)
	err = errors.Join(err, w.levels(ctx, w.ahead+2), w.aboveHorizon(ctx, owner))
	select {
	case <-time.After(time.Until(back)):
	case <-ctx.Done():
	}
	err = errors.Join(err, w.aboveHorizon(ctx, owner))
	to, _ := w.now()
	back = time.Now()
	if err = errors.Join(err, send(syscall.SIGCONT, stopped), w.awaitOwner(ctx, -1)); err != nil {
		return err
	}
	took, err := w.firstAfter(ctx, back)
	if err != nil {
		return err
	}
	early := w.missed(from+1, from+int32(w.ahead)-1) //nolint:gosec // a few levels
	w.note = fmt.Sprintf("%d of the first %d missed, then above_horizon; back after %.1f s", early, w.ahead-1, took.Seconds())
	switch {
	case early > 0:
		return fmt.Errorf("%d of the first %d levels were missed: %w", early, w.ahead-1, w.words(ctx))
	case took > mainnetLevel:
		return fmt.Errorf("the first signature came %s after the register: %w", took, w.words(ctx))
	case w.missed(from+1, to) == 0:
		return errors.New("levels were signed without the register")
	}
	from, _ = w.now()
	err = w.levels(ctx, 3)
	if n := w.missed(from+1, from+2); n > 0 {
		err = errors.Join(err, fmt.Errorf("%d levels were missed after the register was back", n))
	}
	return err
}

func send(s syscall.Signal, members []*server) error {
	var errs []error
	for _, m := range members {
		errs = append(errs, syscall.Kill(m.PID(), s))
	}
	return errors.Join(errs...)
}

// aboveHorizon wants a machine to refuse the present level, with the reason.
func (w *world) aboveHorizon(ctx context.Context, m *machine) error {
	client := m.Client(false)
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	level, _ := w.now()
	step := baker.Step{Chain: harness.Chain, Kind: tezos.Block, Level: level, Variant: m.variant()}
	_, err := client.SignOnly(ctx, w.probe, step.Payload(w.probe.Curve()))
	var refused *baker.Refusal
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "above the horizon") ||
		!strings.Contains(err.Error(), "has not answered") {
		return fmt.Errorf("no clear refusal: %w", err)
	}
	return nil
}

// firstAfter is the time from a moment to the next signature of the probe.
func (w *world) firstAfter(ctx context.Context, moment time.Time) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		w.mu.Lock()
		i := slices.IndexFunc(w.probed, func(at time.Time) bool { return at.After(moment) })
		var first time.Time
		if i >= 0 {
			first = w.probed[i]
		}
		w.mu.Unlock()
		if i >= 0 {
			return first.Sub(moment), nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return 0, errors.Join(errors.New("no signature came"), w.words(context.WithoutCancel(ctx)))
		}
	}
}
