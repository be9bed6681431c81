package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"highwater/api"
	"highwater/internal/baker"
	"highwater/internal/tezos"
	"highwater/operate"
)

// chance gives a number from 0 to n-1.
func chance(n int) int { return rand.IntN(n) } //nolint:gosec // where to kill is no secret

// errLost is a request without an answer, because the daemon was killed.
var errLost = errors.New("the daemon was killed meanwhile")

// ask asks as octez-baker does, verifies, and has the judge take the answer down. A refusal is a try without a
// signature and the status; errLost is returned only after the daemon was told to end.
func (s *suite) ask(ctx context.Context, client *baker.Client, b *book, t try) (try, int, error) {
	sig, err := client.Sign(ctx, b.PublicKey, t.payload)
	var refusal *baker.Refusal
	switch {
	case err == nil:
		t.sig = sig
		isNew, noteErr := s.judge.Note(b.Hash(), t.payload, sig)
		if isNew {
			s.count("signatures released")
		} else {
			s.count("signatures given again")
		}
		return t, http.StatusOK, noteErr
	case errors.As(err, &refusal):
		if refusal.Status == http.StatusInternalServerError {
			s.remark(refusal.Text)
		}
		return t, refusal.Status, nil
	case s.daemon.ToldToEnd():
		return t, 0, errLost
	}
	return t, 0, fmt.Errorf("%s %s at level %d round %d: %w", b.Hash(), t.Kind, t.Level, t.Round, err)
}

// load bakes with every key at once, beside an operator's commands, until the daemon is gone.
func (s *suite) load(ctx context.Context) *sync.WaitGroup {
	var wg sync.WaitGroup
	for _, b := range s.books {
		wg.Go(func() { s.report(s.bake(ctx, b)) })
	}
	wg.Go(func() { s.report(s.operate(ctx)) })
	return &wg
}

// report keeps unexpected errors. A lost answer is expected.
func (s *suite) report(err error) {
	if err != nil && !errors.Is(err, errLost) {
		s.fault("%v", err)
	}
}

// bake asks at one place after the other, sometimes beside a twin that asks for other bytes at the same place.
func (s *suite) bake(ctx context.Context, b *book) error {
	client := s.daemon.Client(false)
	defer client.Close()
	var round int32
	level := b.top() + 1
	for ctx.Err() == nil {
		for _, kind := range tezos.Kinds {
			if err := s.bakeOne(ctx, client, b, b.try(kind, level, round, byte(chance(variants)&0xff))); err != nil {
				return err
			}
		}
		if chance(4) == 0 {
			round += 1 + int32(chance(2)) //nolint:gosec // small
		} else {
			level, round = max(level, b.top())+1, 0 // the operator may have raised a mark
		}
	}
	return nil
}

// variants is the number of different payloads of a baker; its twin has as many others.
const variants = 100

// twinEvery is the number of requests between two requests by twins. standbyPause is a baker's pause after the refusal
// of a standby.
const (
	twinEvery    = 6
	standbyPause = 5 * time.Millisecond
)

func (s *suite) bakeOne(ctx context.Context, client *baker.Client, b *book, t try) error {
	tries := []try{t}
	if chance(twinEvery) == 0 {
		tries = append(tries, b.try(t.Kind, t.Level, t.Round, variants+t.Variant))
	}
	errs := make([]error, len(tries))
	var wg sync.WaitGroup
	for i, u := range tries {
		b.opened(u)
		wg.Go(func() {
			got, status, err := s.ask(ctx, client, b, u)
			if err == nil {
				b.answered(got)
				s.countStatus("under load", status)
				if status == http.StatusForbidden { // on standby, for a moment
					<-time.After(standbyPause)
				}
			}
			errs[i] = err
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// operate uses the admin socket: status, raised marks, standby and back. Each answer is kept, because each answer must
// hold.
func (s *suite) operate(ctx context.Context) error {
	admin, err := s.daemon.Admin(ctx)
	for err == nil && ctx.Err() == nil {
		switch chance(100) {
		case 0:
			err = s.pause(ctx, admin)
		case 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15:
			err = s.raise(ctx, admin)
		default:
			_, err = admin.Status(ctx)
			s.count("operator: status")
		}
	}
	if err != nil && s.daemon.ToldToEnd() {
		return errLost
	}
	return err
}

// raise sets one mark of one key a little above the key's requests.
func (s *suite) raise(ctx context.Context, admin *api.Client) error {
	b, kind := s.books[chance(len(s.books))], tezos.Kinds[chance(len(tezos.Kinds))]
	level := b.top() + int32(chance(3)) //nolint:gosec // small
	b.raised(kind, level, false)
	_, err := admin.Raise(ctx, operate.RaiseRequest{
		PKHs: []tezos.PublicKeyHash{b.Hash()}, Kinds: []tezos.Kind{kind}, Level: level,
	})
	if err == nil {
		b.raised(kind, level, true)
		s.count("operator: hwm set")
	}
	return err
}

// pause puts the instance on standby and back. Requests in between are refused.
func (s *suite) pause(ctx context.Context, admin *api.Client) error {
	s.role.Store("")
	role, err := admin.Standby(ctx, operate.StandbyRequest{Why: "crash suite"})
	if err != nil {
		return err
	}
	s.role.Store(role.Role.String())
	s.count("operator: standby")
	client := s.daemon.Client(false)
	defer client.Close()
	b := s.books[chance(len(s.books))]
	if err := s.want(ctx, client, b, b.try(tezos.Block, b.top()+1, 0, 250), "on standby: refused",
		http.StatusForbidden); err != nil {
		return err
	}
	s.role.Store("")
	return s.activate(ctx, admin)
}

func (s *suite) activate(ctx context.Context, admin *api.Client) error {
	role, err := admin.Activate(ctx, operate.ActivateRequest{Why: "crash suite"})
	if err != nil {
		return err
	}
	s.role.Store(role.Role.String())
	s.count("operator: activate")
	return nil
}
