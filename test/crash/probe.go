package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"highwater/hwm"
	"highwater/internal/baker"
	"highwater/internal/tezos"
)

// want makes a request with a set of allowed answers. Any other answer is a broken promise.
func (s *suite) want(ctx context.Context, client *baker.Client, b *book, t try, what string, statuses ...int) error {
	got, status, err := s.ask(ctx, client, b, t)
	if err != nil {
		return err
	}
	b.answered(got)
	if !slices.Contains(statuses, status) {
		s.fault("%s: %s %s %s at level %d round %d was answered with %d", what, b.Hash(), b.Curve(), t.Kind, t.Level, t.Round,
			status)
		return nil
	}
	s.countStatus(what, status)
	return nil
}

// probe asks every key, after a restart, for forbidden and for promised signatures.
func (s *suite) probe(ctx context.Context) error {
	errs := make([]error, len(s.books))
	var wg sync.WaitGroup
	for i, b := range s.books {
		wg.Go(func() {
			client := s.daemon.Client(false)
			defer client.Close()
			errs[i] = s.probeKey(ctx, client, b)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (s *suite) probeKey(ctx context.Context, client *baker.Client, b *book) error {
	pages := b.inOrder()
	for _, probe := range []func(context.Context, *baker.Client, *book, *page) error{
		s.probeOther, s.probeSame, s.probeOpen,
	} {
		for _, p := range pages {
			if err := probe(ctx, client, b, p); err != nil {
				return err
			}
		}
	}
	what, level := "next level", b.top()+1
	if s.lost {
		what, level = "level after the horizon", max(b.top(), b.horizon)+1
		if b.horizon == 0 { // an interrupted start has settled the horizon
			level = b.top() + int32(s.store.Ahead) + 1 //nolint:gosec // small
		} else if err := s.probeHorizon(ctx, client, b); err != nil {
			return err
		}
	}
	for _, kind := range tezos.Kinds {
		next := b.try(kind, level, 0, 1)
		b.opened(next)
		if err := s.want(ctx, client, b, next, what, http.StatusOK); err != nil {
			return err
		}
	}
	return nil
}

// probeHorizon: nothing at or below a horizon that became the floor is signed, of any kind.
func (s *suite) probeHorizon(ctx context.Context, client *baker.Client, b *book) error {
	for _, kind := range tezos.Kinds {
		if err := s.want(ctx, client, b, b.try(kind, b.horizon, 9, 206), "at the horizon", http.StatusConflict); err != nil {
			return err
		}
	}
	return nil
}

// probeOther: other bytes at the place of an answer are refused, and so is everything below the place, or below the
// operator's mark.
func (s *suite) probeOther(ctx context.Context, client *baker.Client, b *book, p *page) error {
	at := *p.last
	probes := []struct {
		what string
		try
	}{
		{"other bytes", b.try(at.Kind, at.Level, at.Round, 201)},
		{"lower level", b.try(at.Kind, at.Level-1, at.Round+3, 202)},
		{"set by the operator", b.try(at.Kind, p.floor, 7, 203)},
	}
	if at.Round > 0 {
		probes = append(probes, struct {
			what string
			try
		}{"lower round", b.try(at.Kind, at.Level, at.Round-1, 204)})
	}
	for _, probe := range probes {
		if err := s.want(ctx, client, b, probe.try, probe.what, http.StatusConflict); err != nil {
			return err
		}
	}
	return nil
}

// probeSame: the same bytes get the same signature or a refusal; the judge compares. A refusal needs a reason: a mark
// above, or a lost signature that the scheme would not repeat. A device may refuse a second time (a TezSign was raised
// to the host's marks when it connected).
func (s *suite) probeSame(ctx context.Context, client *baker.Client, b *book, p *page) error {
	at := *p.last
	what, statuses := "same bytes", []int{http.StatusOK, http.StatusConflict, http.StatusInternalServerError}
	if b.tz1 && len(p.open) == 0 && p.maybe < at.Level && !s.lost {
		what, statuses = "same bytes, tz1", []int{http.StatusOK}
	}
	return s.want(ctx, client, b, at, what, statuses...)
}

// probeOpen: a request interrupted by the kill may be signed now, and so may other bytes at its place, but not both:
// the judge knows.
func (s *suite) probeOpen(ctx context.Context, client *baker.Client, b *book, p *page) error {
	open := slices.Clone(p.open)
	p.open = nil
	for _, t := range open {
		both := []try{t, b.try(t.Kind, t.Level, t.Round, 205)}
		if chance(2) == 0 {
			slices.Reverse(both)
		}
		for _, u := range both {
			err := s.want(ctx, client, b, u, "under way at the kill", http.StatusOK, http.StatusConflict,
				http.StatusInternalServerError)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// checkRole: an answered role is durable.
func (s *suite) checkRole(role hwm.Role) error {
	want, ok := s.role.Load().(string)
	if ok && want != "" && want != role.String() {
		return fmt.Errorf("the role was %s before the kill, and is %s", want, role)
	}
	return nil
}
