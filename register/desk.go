package register

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"highwater/hwm"
	"highwater/internal/tezos"
)

// Desk does an operator's acts at an instance with a shared right to sign.
type Desk struct {
	Keeper  *Keeper
	Machine *Instance
	Name    string // of the record
	Policy  Policy
	Ahead   int32
}

// View is the register as shown to an operator.
type View struct {
	Name    string         `json:"name"`
	Cluster string         `json:"cluster,omitempty"`
	Owner   hwm.InstanceID `json:"owner"` // zero: nobody
	Mine    bool           `json:"mine"`  // this process is the owner
	Epoch   uint64         `json:"epoch"`
	Floor   int32          `json:"floor"`
	Horizon int32          `json:"horizon"`
	Head    *int32         `json:"head"`
	// SilentMS is for how long the register has not answered, in milliseconds; zero: the register answers.
	SilentMS int64  `json:"silent_ms,omitempty"`
	Error    string `json:"error,omitempty"`
	Refused  bool   `json:"refused,omitempty"` // the register answers, and refuses
	// Why is the reason why this instance does not take the right now.
	Why       string `json:"why,omitempty"`
	Automatic bool   `json:"automatic"`
	Ahead     int32  `json:"ahead"`
	// Keys are the keys of the record's marks; none before the first release.
	Keys []tezos.PublicKeyHash `json:"keys,omitempty"`
	// AnswerMS is how long the register took for its last answer, in milliseconds.
	AnswerMS float64 `json:"answer_ms"`
	Denied   bool    `json:"denied"`   // the register itself gives nobody the right: absent, older, unreadable
	Seen     Seen    `json:"seen"`     // the durable memory of the register
	MaySign  string  `json:"may_sign"` // the instance with the right to sign, in a sentence
}

// Ready is nil when this machine could sign with every key, given the right.
func (d *Desk) Ready() error { return d.Machine.Ready() }

// View names the instance with the right to sign. View asks nobody.
func (d *Desk) View() View {
	s := d.Keeper.State()
	v := View{
		Name: d.Name, Mine: s.Owner, Why: s.Why, Automatic: d.Policy.Automatic, Ahead: d.Ahead,
		Owner: s.Record.Owner, Epoch: s.Record.Epoch, Floor: s.Record.Floor, Horizon: s.Record.Horizon,
	}
	v.Seen, v.Denied, v.Refused = d.Machine.Seen(), Denied(s.Err), errors.Is(s.Err, ErrRefused)
	if v.Seen.Cluster != 0 {
		v.Cluster = fmt.Sprintf("%x", v.Seen.Cluster)
	}
	if head, ok := d.Machine.Head(); ok {
		v.Head = &head
	}
	if !s.Silent.IsZero() {
		v.SilentMS = time.Since(s.Silent).Milliseconds()
	}
	if s.Err != nil {
		v.Error = s.Err.Error()
	}
	v.AnswerMS = float64(s.Answer.Microseconds()) / 1000
	for _, m := range s.Record.Marks {
		if !slices.Contains(v.Keys, m.PKH) {
			v.Keys = append(v.Keys, m.PKH)
		}
	}
	v.MaySign = d.maySign(s)
	return v
}

// Trouble is the fault of the register in a sentence; empty: none.
func (v View) Trouble() string {
	if v.SilentMS > 0 {
		return silence(time.Duration(v.SilentMS)*time.Millisecond, v.Refused, v.Error)
	}
	return v.Error
}

// silence is a trouble that lasts.
func silence(lasts time.Duration, refused bool, fault string) string {
	if refused {
		return fmt.Sprintf("for %d s: %s", lasts/time.Second, fault)
	}
	return fmt.Sprintf("the register has not answered for %d s: %s", lasts/time.Second, fault)
}

// Remembered is the view without a daemon: the memory of the register alone.
func Remembered(seen Seen) View {
	return View{
		Cluster: fmt.Sprintf("%x", seen.Cluster), Epoch: seen.Epoch, Horizon: seen.Horizon, Seen: seen,
		MaySign: fmt.Sprintf(
			"not known: the daemon does not run, and only the daemon asks the register (the newest known horizon is level %d)",
			seen.Horizon),
	}
}

func (d *Desk) maySign(s State) string {
	switch {
	case Denied(s.Err):
		return "nobody, by the register"
	case s.Owner:
		return fmt.Sprintf("this instance, up to level %d", s.Record.Horizon)
	case !s.Known:
		return "not known: the register has not answered yet"
	case s.Record.Released():
		return "nobody: the right was released"
	case s.Record.Owner == d.Machine.Store.Instance():
		return fmt.Sprintf("an earlier process of this instance, up to level %d", s.Record.Horizon)
	}
	return fmt.Sprintf("the instance %s, up to level %d", s.Record.Owner.Short(), s.Record.Horizon)
}

// Why tells a waiting request why the limit of this instance does not rise.
func (d *Desk) Why() string {
	s := d.Keeper.State()
	switch {
	case !s.Silent.IsZero():
		return silence(time.Since(s.Silent), errors.Is(s.Err, ErrRefused), s.Err.Error())
	case s.Err != nil:
		return s.Err.Error()
	}
	return fmt.Sprintf("the horizon is at most %d levels above the head of the node here", d.Ahead)
}

// Errors of an operator's acts.
var (
	// ErrElsewhere: another instance has the right.
	ErrElsewhere = errors.New("another instance has the right to sign")
	// ErrNobody: nobody took the released right in time.
	ErrNobody = errors.New("nobody took the right to sign in time")
	// ErrUnanswered: the owner did not release the right in time.
	ErrUnanswered = errors.New("the owner did not release the right to sign in time")
)

// handoverTimeout bounds the wait for the second instance of a handover: for a look at the register, the last
// signatures of devices, and a disk.
const handoverTimeout = 10 * time.Second

// handoverLook is how often the register is looked at meanwhile.
const handoverLook = 20 * time.Millisecond

// Moved is the result of a handover.
type Moved struct {
	From, To hwm.InstanceID
	Epoch    uint64
	Gap      time.Duration // the longest possible time without an owner: from the question to the answer
}

// Handover moves the right: from this instance to another one (zero: to any ready instance), or from the owner to this
// instance.
func (d *Desk) Handover(ctx context.Context, to hwm.InstanceID) (Moved, error) {
	ctx, cancel := context.WithTimeout(ctx, handoverTimeout)
	defer cancel()
	if d.Keeper.State().Owner {
		return d.giveAway(ctx, to)
	}
	return d.fetch(ctx)
}

// fetch asks the owner for the right, and waits for it.
func (d *Desk) fetch(ctx context.Context) (Moved, error) {
	if err := d.Machine.Ready(); err != nil {
		return Moved{}, fmt.Errorf("this machine is not ready: %w", err)
	}
	start := time.Now()
	asked, err := d.Keeper.Ask(ctx)
	defer d.Keeper.Forget()
	if err != nil {
		return Moved{}, err
	}
	if err = d.until(ctx, func(s State) bool { return s.Owner }); err != nil {
		return Moved{}, fmt.Errorf("%w: %s", ErrUnanswered, d.View().MaySign)
	}
	return Moved{
		From: asked.Owner, To: d.Machine.Store.Instance(), Epoch: d.Keeper.State().Record.Epoch,
		Gap: time.Since(start),
	}, nil
}

// giveAway releases the right, and takes the right back if nobody takes the right.
func (d *Desk) giveAway(ctx context.Context, to hwm.InstanceID) (Moved, error) {
	me := d.Machine.Store.Instance()
	d.Keeper.Rest(true)
	defer func() {
		d.Keeper.Rest(false)
		d.Keeper.Step(context.WithoutCancel(ctx)) // no word of a handover under way is left
	}()
	start := time.Now()
	_, err := d.Keeper.Release(ctx, to, "handed over by the operator")
	if err != nil && !errors.Is(err, ErrLost) { // lost: another instance took what the release gave
		return Moved{}, err
	}
	err = d.until(ctx, func(s State) bool { return s.Known && s.Record.Owner != me && !s.Record.Released() })
	if err != nil {
		err = d.takeBack(context.WithoutCancel(ctx))
	}
	rec := d.Keeper.State().Record
	return Moved{From: me, To: rec.Owner, Epoch: rec.Epoch, Gap: time.Since(start)}, err
}

// takeBack takes a released right back; nil: another instance took the right meanwhile.
func (d *Desk) takeBack(ctx context.Context) error {
	_, err := d.Keeper.TakeBack(ctx)
	switch {
	case errors.Is(err, ErrElsewhere):
		d.Keeper.Step(ctx)
		return nil
	case err != nil:
		return fmt.Errorf("%w, and the right was not taken back: %w", ErrNobody, err)
	}
	return fmt.Errorf("%w: the right was taken back", ErrNobody)
}

// until looks at the register again and again.
func (d *Desk) until(ctx context.Context, done func(State) bool) error {
	tick := time.NewTicker(handoverLook)
	defer tick.Stop()
	for !done(d.Keeper.State()) {
		select {
		case <-tick.C:
			d.Keeper.Step(ctx)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Takeover takes the right now, without a statement: the right begins above the horizon, and the old owner cannot move
// the horizon any more.
func (d *Desk) Takeover(ctx context.Context) (Record, error) { return d.Keeper.Takeover(ctx) }

// Stand ends signing here, and keeps this instance from taking the right by itself until an operator says otherwise.
func (d *Desk) Stand(ctx context.Context, why string) error {
	if why == "" {
		why = "no reason was given"
	}
	if err := d.aside(hwm.CutWhy(why)); err != nil {
		return err
	}
	defer d.Keeper.Poke() // the reason is shown at once
	_, err := d.Keeper.Release(ctx, hwm.InstanceID{}, why)
	if errors.Is(err, ErrLost) {
		err = d.Machine.End(ctx, why)
	}
	return err
}

// Activate ends an operator's standby, and takes a free right. ErrElsewhere: the right is not free.
func (d *Desk) Activate(ctx context.Context) error {
	kept := d.Machine.Seen().Aside != ""
	if err := d.aside(""); err != nil {
		return err
	}
	d.Keeper.Step(ctx)
	s := d.Keeper.State()
	switch {
	case s.Owner:
		return nil
	case s.Err != nil:
		return s.Err
	case s.Record.Released():
		return errors.New(s.Why)
	}
	err := fmt.Errorf("%w: %s", ErrElsewhere, d.View().MaySign)
	if kept {
		err = fmt.Errorf("this instance is kept aside no longer; %w", err)
	}
	return err
}

func (d *Desk) aside(why string) error {
	return d.Machine.Store.SeeRegister(func(s *hwm.RegisterSeen) { s.Aside = why })
}
