package failover

import (
	"crypto/ed25519"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/checklist"
	"highwater/internal/tezos"
	"highwater/signer"
)

func TestPlannedThereAndBack(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	for range 6 {
		require.Equal(t, perLevel, a.bake(p.level))
		require.Zero(t, b.bake(p.level), "the standby signed")
		h := b.handover()
		require.Positive(t, h.GapMS)
		require.Equal(t, b.node.Me(), h.To)
		require.Zero(t, a.bake(p.level), "the old primary signed")
		require.Zero(t, b.bake(p.level), "the floors did not come along")
		p.level++
		require.Zero(t, a.bake(p.level))
		require.Equal(t, perLevel, b.bake(p.level), "a level was missed")
		p.level++
		a, b = b, a
	}
	require.Empty(t, p.judge.Doubles())
}

func TestEitherSideMayStartAHandover(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	h := a.handover() // the active side invites the other
	require.Equal(t, b.node.Me(), h.To)
	require.Equal(t, hwm.Standby, a.role().Role)
	require.Equal(t, hwm.Active, b.role().Role)
}

func TestADryRunChangesNothing(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	_, err := b.node.Ask(t.Context())
	require.NoError(t, err)
	before := []hwm.RoleRecord{a.role(), b.role()}
	for _, s := range p.sides {
		h, err := s.node.Handover(t.Context(), HandoverRequest{DryRun: true})
		require.NoError(t, err)
		require.False(t, h.Done)
		require.Nil(t, checklist.Stands(h.Findings))
		require.NotEmpty(t, h.Findings)
	}
	require.Equal(t, before, []hwm.RoleRecord{a.role(), b.role()})
	require.Equal(t, perLevel, a.bake(p.level))
}

// TestAHandoverSurvivesACrashAtEveryWrite kills either side before and after each durable write, at each of them, until
// a handover goes through without; then it is asked for again, and works.
func TestAHandoverSurvivesACrashAtEveryWrite(t *testing.T) {
	for _, who := range []int{0, 1} {
		for _, after := range []bool{false, true} {
			deaths := 0
			for at := range 20 {
				p := newPair(t)
				a, b := p.begin()
				a.bake(p.level)
				victim := p.sides[who]
				victim.store.countdown, victim.store.after = at, after
				_, err := b.node.askForIt(t.Context())
				died := victim.store.dead
				if !died {
					require.NoError(t, err)
					victim.store.countdown = -1
				} else {
					deaths++
				}
				p.level++
				for _, s := range p.sides { // whoever is up
					if !s.store.dead {
						s.bake(p.level)
					}
				}
				if died {
					victim.restart()
				}
				for _, s := range p.sides {
					if _, err := s.node.Ask(t.Context()); err != nil {
						require.True(t, wire.IsRefusal(err), "%v", err)
					}
				}
				p.level++
				require.LessOrEqual(t, a.bake(p.level)+b.bake(p.level), perLevel, "both sign")
				if b.role().Role != hwm.Active {
					b.handover()
				}
				p.level++
				require.Zero(t, a.bake(p.level))
				require.Equal(t, perLevel, b.bake(p.level))
				require.Empty(t, p.judge.Doubles())
				if !died {
					break
				}
				require.Less(t, at, 19)
			}
			require.Positive(t, deaths, "nobody died: the crashes are not where the writes are")
		}
	}
}

func TestALostAnswerIsAskedForAgain(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	asked := 0
	p.cable.lose = func(verb string) (bool, bool) {
		if verb == wire.Release {
			asked++
		}
		return false, asked == 2 || asked == 3 // the first only asks what would happen
	}
	b.handover()
	require.Equal(t, uint64(2), b.role().Epoch, "asking again made another epoch")
	require.Equal(t, uint64(2), a.role().Epoch)
}

func TestARestartedOwnerAsksFirst(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	require.Equal(t, perLevel, a.bake(p.level))
	p.cable.cut = true
	a.restart()
	p.level++
	require.Zero(t, a.bake(p.level), "it signed without asking")
	_, err := a.node.Ask(t.Context())
	is(t, err, wire.Unreachable)
	require.Zero(t, a.bake(p.level))
	key := a.gadget.keys[0].PublicKey()
	_, err = a.signer.PublicKey(key.Hash())
	require.NoError(t, err)
	v := a.node.View()
	require.Contains(t, v.Waiting, "no answer yet")
	require.Contains(t, v.Next[1], "highwater takeover")
	_, err = a.node.Activate(t.Context(), nil, "let me")
	is(t, err, wire.IsActive)
	is(t, a.node.SetPeer(t.Context(), nil), wire.NotReady) // no way around it
	p.cable.cut = false
	_, err = a.node.Ask(t.Context())
	require.NoError(t, err)
	require.Equal(t, perLevel, a.bake(p.level))
	require.Empty(t, b.alarms())
}

func TestAnOldCertificateIsWorthNothing(t *testing.T) {
	p := newPair(t)
	_, b := p.begin()
	b.handover()
	var certs []late
	for _, l := range p.cable.answers {
		if l.verb == wire.Release {
			certs = append(certs, l)
		}
	}
	require.NotEmpty(t, certs)
	b.restart()
	for _, l := range certs {
		if a, err := wire.Parse[wire.Answer](l.body); err == nil && a.Certificate != nil {
			is(t, l.deliver(t), wire.OldAnswer)
		}
	}
	p.level++
	require.Zero(t, b.bake(p.level))
}

func TestTakeover(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	a.bake(p.level)
	_, err := b.node.Ask(t.Context())
	require.NoError(t, err)

	// While the other side answers there is a better way, whatever is stated.
	_, err = b.node.Takeover(t.Context(), TakeoverRequest{CannotSign: true, Head: &p.level})
	is(t, err, wire.NotReady)
	require.Contains(t, err.Error(), "answers, and signs")
	a.kill()
	// Nothing implies the statement.
	_, err = b.node.Takeover(t.Context(), TakeoverRequest{Head: &p.level})
	is(t, err, wire.NotReady)
	check, err := b.node.Takeover(t.Context(), TakeoverRequest{Head: &p.level, Check: true})
	require.NoError(t, err)
	require.False(t, check.Ready)
	require.Zero(t, b.bake(p.level+Margin+1))

	for _, margin := range []int32{MinMargin - 1, MaxMargin + 1, -1} {
		_, err = b.node.Takeover(t.Context(), TakeoverRequest{Check: true, Head: &p.level, Margin: &margin})
		is(t, err, wire.BadLevel)
	}
	near, err := b.node.Takeover(t.Context(), TakeoverRequest{Check: true, Head: &p.level, Margin: level(MinMargin)})
	require.NoError(t, err)
	require.Equal(t, p.level+MinMargin, near.Floor)

	done, err := b.takeover()
	require.NoError(t, err)
	require.True(t, done.Done)
	require.Equal(t, uint64(3), b.role().Epoch, "a takeover jumps over what a release could have made")
	require.Equal(t, p.level+Margin, done.Floor)
	require.Zero(t, b.bake(done.Floor))
	p.level = done.Floor + 1
	require.Equal(t, perLevel, b.bake(p.level))

	// The old primary comes back, and does not fight for it.
	a.start()
	p.level++
	require.Zero(t, a.bake(p.level))
	_, err = a.node.Ask(t.Context())
	require.NoError(t, err)
	require.Equal(t, hwm.Standby, a.role().Role)
	require.Equal(t, b.node.Me(), a.role().Owner)
	require.Contains(t, a.node.View().Next[0], "this instance is the backup now")
	require.Empty(t, p.judge.Doubles())
}

// TestBothTookOver has two takeovers at one epoch, each while the other was down, and each of the two that comes back
// first.
func TestBothTookOver(t *testing.T) {
	for _, first := range []int{0, 1} {
		p := newPair(t)
		a, b := p.begin()
		a.kill()
		_, err := b.takeover()
		require.NoError(t, err)
		p.level += Margin + 1
		require.Equal(t, perLevel, b.bake(p.level))
		b.kill()
		p.level++
		a.start()
		_, err = a.takeover()
		require.NoError(t, err)
		require.Equal(t, a.role().Epoch, uint64(3))
		p.level += Margin + 1
		require.Equal(t, perLevel, a.bake(p.level))
		if first == 1 { // neither has resumed
			a.kill()
			a.start()
		}
		b.start()
		for range 2 {
			for _, s := range []*side{p.sides[first], p.sides[1-first]} {
				_, err = s.node.Ask(t.Context())
				if err != nil {
					is(t, err, wire.NotOwner)
				}
			}
		}
		p.level++
		require.Equal(t, perLevel, a.bake(p.level)+b.bake(p.level), "exactly one signs")
		require.Empty(t, p.judge.Doubles())
	}
}

// TestAFalseStatement: the operator was wrong, both sign in one epoch. It ends with their first word to each other, and
// loudly.
func TestAFalseStatement(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	_, err := b.node.Ask(t.Context())
	require.NoError(t, err)
	a.restart()
	p.cable.cut = true
	for _, s := range p.sides {
		_, err = s.node.Takeover(t.Context(), TakeoverRequest{CannotSign: true, Head: &p.level})
		require.NoError(t, err)
	}
	p.level += Margin + 1
	require.Equal(t, perLevel, a.bake(p.level))
	p.cable.cut = false
	_, err = b.node.Ask(t.Context())
	require.NoError(t, err)
	require.Equal(t, hwm.Fenced, a.role().Role)
	require.Equal(t, hwm.Fenced, b.role().Role)
	require.NotEmpty(t, a.alarms())
	require.NotEmpty(t, b.alarms())
	p.level++
	require.Zero(t, a.bake(p.level)+b.bake(p.level))
	_, err = b.node.Handover(t.Context(), HandoverRequest{})
	require.Error(t, err)
	_, err = a.node.Activate(t.Context(), nil, "again")
	is(t, err, wire.IsFenced)
}

func TestByLevel(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	require.Equal(t, perLevel, a.bake(p.level))
	_, err := b.node.Handover(t.Context(), HandoverRequest{At: level(p.level)})
	is(t, err, wire.NotReady) // signed already
	_, err = b.node.Handover(t.Context(), HandoverRequest{At: level(p.level + 2*hwm.FarLevels)})
	is(t, err, wire.NotReady)
	cut := p.level + 3
	h, err := b.node.Handover(t.Context(), HandoverRequest{At: &cut})
	require.NoError(t, err)
	require.True(t, h.Done)
	for p.level < cut {
		p.level++
		require.Equal(t, perLevel, a.bake(p.level), "level %d", p.level)
		require.Zero(t, b.bake(p.level))
	}
	p.level++
	require.Zero(t, a.bake(p.level))
	require.Equal(t, perLevel, b.bake(p.level))

	// A restart below the level ends it; the way back lifts the ceilings.
	a.restart()
	require.Equal(t, hwm.Standby, a.role().Role)
	a.handover()
	require.Empty(t, a.store.Ceilings())
	p.level++
	require.Equal(t, perLevel, a.bake(p.level))
	require.Empty(t, p.judge.Doubles())
}

// TestACutOverWithoutMarks: no key has a mark, so there is nothing to compare a level with.
func TestACutOverWithoutMarks(t *testing.T) {
	p := newPair(t)
	a := p.sides[0]
	require.NoError(t, a.node.checkLevel(hwm.FarLevels-1))
	for _, at := range []int32{-1, hwm.FarLevels, hwm.FarLevels + 1} {
		err := a.node.checkLevel(at)
		is(t, err, wire.BadLevel)
		require.NotContains(t, err.Error(), "mark, -1")
		require.NotContains(t, err.Error(), "level -1, ")
		require.NotContains(t, wire.AsRefusal(err).Hint, "49")
	}
}

func TestAKeyWithoutACeilingDoesNotSignForAnotherOwner(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	_, err := b.node.Handover(t.Context(), HandoverRequest{At: level(p.level + 5)})
	require.NoError(t, err)
	// A device is connected only now, and its key is given a mark.
	late := newKey(t)
	a.gadget.keys = append(a.gadget.keys, late)
	a.signer.Learn()
	var rows []hwm.Row
	for _, k := range hwm.KeysOf(ghost, late.PublicKey().Hash()) {
		rows = append(rows, hwm.Row{Key: k, Mark: hwm.Floor(start, time.Now(), hwm.SourceSet)})
	}
	_, err = a.store.Raise(rows)
	require.NoError(t, err)
	require.Equal(t, perLevel, a.bake(p.level), "the late key signed")
}

func TestOffline(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	_, err := b.node.Ask(t.Context())
	require.NoError(t, err)
	_, err = b.node.Release(t.Context(), p.level+2)
	is(t, err, wire.NotOwner)
	p.cable.cut = true
	cut := p.level + 2
	c, err := a.node.Release(t.Context(), cut)
	require.NoError(t, err)
	again, err := a.node.Release(t.Context(), cut+50)
	require.NoError(t, err)
	require.Equal(t, c.Epoch, again.Epoch)
	require.Equal(t, cut, *again.Level, "a second certificate moved the cut")

	text, err := wire.EncodeCertificate(c)
	require.NoError(t, err)
	c, err = wire.ParseCertificate(text)
	require.NoError(t, err)
	for _, bad := range []func(*wire.Certificate){
		func(c *wire.Certificate) { c.Epoch++ }, func(c *wire.Certificate) { c.Level = level(cut - 1) },
		func(c *wire.Certificate) { c.Marks = nil },
		func(c *wire.Certificate) { c.Signature = "" }, func(c *wire.Certificate) { c.To = c.From },
		func(c *wire.Certificate) { c.When = c.When.Add(1) },
	} {
		forged := *c
		bad(&forged)
		_, err = b.node.Accept(t.Context(), &forged, &p.level)
		is(t, err, wire.WrongKey)
	}
	wrong := *c
	wrong.Chain = tezos.ChainID{9}
	_, err = b.node.Accept(t.Context(), &wrong, &p.level)
	is(t, err, wire.WrongChain)
	_, err = b.node.Accept(t.Context(), c, nil)
	is(t, err, wire.NotReady) // nobody says where the chain is
	_, err = b.node.Accept(t.Context(), c, level(cut+wire.MaxPast+1))
	is(t, err, wire.OldAnswer)
	_, err = a.node.Accept(t.Context(), c, &p.level)
	is(t, err, wire.WrongKey) // it is not for the machine that made it
	_, err = b.node.Accept(t.Context(), c, level(cut+wire.MaxPast))
	require.NoError(t, err)
	_, err = b.node.Accept(t.Context(), c, &p.level)
	is(t, err, wire.OldAnswer) // spent
	for ; p.level < cut+3; p.level++ {
		require.Equal(t, perLevel, a.bake(p.level)+b.bake(p.level), "level %d", p.level)
	}
	require.Empty(t, p.judge.Doubles())

	// A takeover on the giving side wants the certificate destroyed.
	b.kill()
	_, err = a.node.Takeover(t.Context(), TakeoverRequest{CannotSign: true, Head: &p.level})
	is(t, err, wire.NotReady)
	require.Contains(t, err.Error(), "certificate")
	_, err = a.takeover()
	require.NoError(t, err)
	p.level += Margin + 1
	require.Equal(t, perLevel, a.bake(p.level))
}

// TestARestoredCopyDoesNotSign brings back yesterday's state directory of the active side.
func TestARestoredCopyDoesNotSign(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	copyOf := func() []byte {
		a.kill()
		text, err := os.ReadFile(filepath.Join(a.dir, "marks.db"))
		require.NoError(t, err)
		a.start()
		_, err = a.node.Ask(t.Context())
		require.NoError(t, err)
		return text
	}
	yesterday := copyOf()
	for range 3 {
		p.level++
		require.Equal(t, perLevel, a.bake(p.level))
	}
	b.node.followOnce(t.Context())
	a.kill()
	require.NoError(t, os.WriteFile(filepath.Join(a.dir, "marks.db"), yesterday, 0o600))
	a.start()
	_, err := a.node.Ask(t.Context())
	is(t, err, wire.OldState)
	require.NotEmpty(t, a.alarms())
	_, err = b.node.askForIt(t.Context())
	is(t, err, wire.OldState) // nor does it give away what it does not know
	require.Zero(t, a.bake(p.level))

	// The right came back meanwhile: the copy is of an earlier epoch.
	a.kill()
	_, err = b.takeover()
	require.NoError(t, err)
	a.start()
	_, err = a.node.Ask(t.Context())
	require.NoError(t, err)
	a.handover()
	require.Equal(t, uint64(4), a.role().Epoch)
	b.handover()
	a.kill()
	require.NoError(t, os.WriteFile(filepath.Join(a.dir, "marks.db"), yesterday, 0o600))
	a.start()
	_, err = a.node.Ask(t.Context())
	require.NoError(t, err)
	require.Equal(t, hwm.Standby, a.role().Role, "the newer epoch fences it")
	require.Empty(t, p.judge.Doubles())
}

func TestBothAreActivatedAtOnce(t *testing.T) {
	p := newPair(t)
	a, b := p.sides[0], p.sides[1]
	// b is asked to activate while a's question is on its way.
	inner := false
	p.cable.lose = func(string) (bool, bool) {
		if !inner {
			inner = true
			_, err := b.node.Activate(t.Context(), level(start), "b")
			is(t, err, wire.NotOwner)
		}
		return false, false
	}
	_, err := a.node.Activate(t.Context(), level(start), "a")
	require.NoError(t, err)
	p.level++
	require.Equal(t, perLevel, a.bake(p.level))
	require.Zero(t, b.bake(p.level))
}

func TestActivateAsksFirst(t *testing.T) {
	p := newPair(t)
	p.cable.cut = true
	_, err := p.sides[0].node.Activate(t.Context(), level(start), "alone")
	is(t, err, wire.Unreachable)
	p.cable.cut = false
	a, b := p.begin()
	_, err = b.node.Activate(t.Context(), level(start), "me too")
	is(t, err, wire.NotOwner)
	_, err = a.node.Stand(t.Context(), "a rest")
	require.NoError(t, err)
	require.Zero(t, a.bake(p.level))
	_, err = a.node.Activate(t.Context(), nil, "back")
	require.NoError(t, err)
	require.Equal(t, perLevel, a.bake(p.level))
}

// TestAHangingDeviceIsGivenUp: the fence does not wait for ever, and what the device signs afterwards never leaves.
func TestAHangingDeviceIsGivenUp(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	release, answered := a.underWay(p.level)
	h := b.handover()
	require.GreaterOrEqual(t, h.GapMS, float64(signer.DrainTimeout.Milliseconds()))
	release()
	require.Error(t, <-answered, "a signature left after the fence")
	require.Equal(t, hwm.Standby, a.role().Role)
	require.Zero(t, b.bakeOne(p.level), "the mark of the signature under way did not come along")
	require.Equal(t, perLevel-1, b.bake(p.level))
}

func TestStrangersAreNotHeard(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	public, _, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	key := hwm.InstanceID(public)
	good := b.node.question(b.peer(), "")
	for reason, q := range map[string]func(*wire.Question){
		wire.WrongVersion: func(q *wire.Question) { q.Protocol++ },
		wire.WrongChain:   func(q *wire.Question) { q.Chain = tezos.ChainID{9} },
		wire.WrongKey:     func(q *wire.Question) { q.From, q.Owner = key, key },
	} {
		question := good
		question.Epoch = 99
		q(&question)
		for _, verb := range []string{wire.Status, wire.Release, wire.Follow, wire.Invite} {
			answer := a.node.handle(t.Context(), verb, question)
			is(t, answer.Refusal, reason)
		}
	}
	misled := good
	misled.To = key
	is(t, a.node.handle(t.Context(), wire.Status, misled).Refusal, wire.WrongKey)
	require.Equal(t, perLevel, a.bake(p.level))
	// The same from the other instance is a fence.
	newer := good
	newer.Epoch = 99
	require.Nil(t, a.node.handle(t.Context(), wire.Status, wire.Question{Hello: wire.Hello{
		Protocol: wire.Protocol, Chain: ghost, From: b.node.Me(), Life: b.node.life, Role: hwm.Active, Epoch: 99,
		Owner: b.node.Me(),
	}, To: a.node.Me()}).Refusal)
	p.level++
	require.Zero(t, a.bake(p.level))
}

func TestTheGuardsFence(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	fenced, err := a.node.Fence(1, "our key signed block 7 elsewhere")
	require.NoError(t, err)
	require.True(t, fenced)
	_, err = b.node.askForIt(t.Context())
	is(t, err, wire.IsFenced)
	a.restart()
	require.Equal(t, hwm.Fenced, a.role().Role)
	require.Zero(t, a.bake(p.level))
	require.Contains(t, a.node.View().MaySign, "fenced")
}

// An owner that was restarted after a takeover, and was asked for a handover before it heard of it, does not invite the
// new one to what is the new one's already: the two would ask each other in a circle.
func TestHandoverBeforeTheFirstAnswer(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	a.kill()
	_, err := b.takeover()
	require.NoError(t, err)
	a.start()
	h, err := a.node.Handover(t.Context(), HandoverRequest{DryRun: true})
	require.NoError(t, err)
	require.Equal(t, a.node.Me(), h.To)
	require.Equal(t, hwm.Standby, a.role().Role)
}
