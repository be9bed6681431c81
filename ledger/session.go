package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"time"

	"highwater/internal/device"
	"highwater/internal/tezos"
)

// session is one connection to an identified baking app. It is used by one goroutine at a time.
type session struct {
	t      Transport
	log    *slog.Logger
	limit  time.Duration // of an exchange without a prompt
	slow   func(command) // is told that a question waits for its answer unusually long
	broken bool          // an answer is lost or outstanding: no command may follow
	// foreign: it is not the device that we look for.
	foreign bool

	version AppVersion
	root    tezos.PublicKeyHash
	keys    []sessionKey
	marks   Marks
	alarm   string
	byHand  bool // an operator has just set its marks: those that are read next are no news
	notes   []string
	allowed []device.Mark // what the host says the device's own marks may be raised to
}

// sessionKey is an authorised key.
type sessionKey struct {
	Authorized
	pub  *tezos.PublicKey
	last tezos.Kind // signed last, in this session; zero: none
}

// Close ends the connection.
func (s *session) Close() error { return s.t.Close() }

// call does one exchange that shows no prompt and gives the data of a 9000. It does not end before the exchange does, nor after the
// time limit; after a lost answer the session is broken.
func (s *session) call(ctx context.Context, c command) ([]byte, error) {
	return s.within(ctx, s.limit, c)
}

func (s *session) within(ctx context.Context, limit time.Duration, c command) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), limit, noAnswerError{c.name, limit})
	defer cancel()
	return s.exchange(ctx, c)
}

// noAnswerError says which command was not answered in time. Its text is made when it is wanted: hardly ever.
type noAnswerError struct {
	command string
	limit   time.Duration
}

func (e noAnswerError) Error() string {
	return fmt.Sprintf("no answer to %s within %s", e.command, e.limit)
}

// exchange does one exchange and gives the data of a 9000. The error is an *Error.
func (s *session) exchange(ctx context.Context, c command) ([]byte, error) {
	if s.broken {
		return nil, &device.Error{Health: device.Absent, Hint: advicePlug, Retry: true, Err: errors.New("the connection is broken")}
	}
	start := time.Now()
	out, err := s.t.Exchange(ctx, c.raw)
	if s.log.Enabled(ctx, slog.LevelDebug) { // the texts cost more than the rest of it
		s.log.Debug("ledger exchange", "command", c.name, "sent", len(c.raw), "answered", len(out), "status", statusWord(out),
			"duration_ms", time.Since(start).Milliseconds(), "error", err)
	}
	if err != nil {
		return nil, s.lost(ctx, c, err)
	}
	if len(out) < swSize {
		return nil, s.outOfStep(c, badAnswer("an answer", out))
	}
	data, sw := out[:len(out)-swSize], Status(binary.BigEndian.Uint16(out[len(out)-swSize:]))
	if sw != StatusOK {
		return nil, c.statusError(sw)
	}
	return data, nil
}

// statusWord is how an answer ended, for the log: what is asked and answered is a payload or a signature, and never logged.
func statusWord(answer []byte) string {
	if len(answer) < swSize {
		return ""
	}
	return fmt.Sprintf("%04x", answer[len(answer)-swSize:])
}

// lost is an exchange whose answer did not come.
func (s *session) lost(ctx context.Context, c command, err error) error {
	s.broken = true
	if ctx.Err() != nil {
		return &device.Error{Health: device.Busy, Hint: adviceBusy, Retry: true, Err: context.Cause(ctx)}
	}
	return &device.Error{Health: device.Absent, Hint: advicePlug, Retry: true, Err: fmt.Errorf("%s: %w", c.name, err)}
}

// outOfStep is an answer that belongs to something else. The connection is opened anew.
func (s *session) outOfStep(c command, err error) error {
	s.broken = true
	return &device.Error{Health: device.Absent, Hint: advicePlug, Retry: true, Err: fmt.Errorf("%s: %w", c.name, err)}
}

// patience is how long a question waits for its answer before the status says that the device is busy. The system and the app answer
// in milliseconds, unless a prompt is on the screen, and then the operator should be told within a second. Public keys are asked for after other
// questions were answered, so there is no prompt; an old device takes a second to derive one, and more while it does something else.
const (
	patience       = 900 * time.Millisecond
	derivePatience = 3 * time.Second
)

// ask does a call that is not a signature, and parses its answer. One that does not belong to the command breaks the session.
func ask[T any](ctx context.Context, s *session, c command, parse func([]byte) (T, error)) (v T, err error) {
	told := make(chan struct{})
	wait := patience
	if c.derives() {
		wait = derivePatience
	}
	slow := time.AfterFunc(wait, func() {
		defer close(told)
		s.slow(c)
	})
	out, err := s.call(ctx, c)
	if !slow.Stop() {
		<-told
	}
	if err != nil {
		return v, err
	}
	v, err = parse(out)
	if err != nil {
		var none T
		return none, s.outOfStep(c, err)
	}
	return v, nil
}

// identify finds out which app answers. Each command's answer has a form of its own, so that a late answer to an
// earlier host's command is noticed here.
func (s *session) identify(ctx context.Context) error {
	name, err := ask(ctx, s, appName, func(b []byte) (string, error) {
		n, _, err := parseAppName(b)
		return n, err
	})
	switch st := statusOf(err); {
	case err == nil:
		if err = checkApp(name); err != nil {
			return err
		}
	case st == StatusOK || st == StatusLocked:
		return err
	}
	s.version, err = ask(ctx, s, instruction(InsVersion, 0, 0, nil), parseVersion)
	if err != nil {
		return err
	}
	if !s.version.Baking {
		return wrongApp("Tezos Wallet")
	}
	if !s.version.Supported() {
		return &device.Error{Health: device.Broken, Hint: adviceUpdate, Err: fmt.Errorf("version %s of the app is not supported", s.version)}
	}
	return nil
}

func checkApp(name string) error {
	switch {
	case name == "BOLOS" || name == "OLOS":
		return &device.Error{Health: device.NoApp, Hint: adviceOpen, Retry: true, Err: errors.New("the dashboard is shown")}
	case !strings.Contains(name, "Tezos") || !strings.Contains(name, "Baking"):
		return wrongApp(name)
	}
	return nil
}

func wrongApp(name string) error {
	return &device.Error{Health: device.WrongApp, Hint: adviceWrong, Retry: true, Err: fmt.Errorf("the app %q is open", name)}
}

func (s *session) publicKey(ctx context.Context, curve Curve, path Path) (*tezos.PublicKey, error) {
	return ask(ctx, s, publicKeyCommand(InsPublicKey, curve, path), func(b []byte) (*tezos.PublicKey, error) {
		return parsePublicKey(curve, b)
	})
}

// authorized asks for the authorised key; there may be none.
func (s *session) authorized(ctx context.Context) ([]Authorized, error) {
	key, err := ask(ctx, s, instruction(InsAuthKey, 0, 0, nil), func(b []byte) (Authorized, error) {
		curve, path, err := parseAuthKey(b)
		return Authorized{Curve: curve, Path: path}, err
	})
	if statusOf(err) == StatusNoKey || err == nil && key.Path == nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return []Authorized{key}, nil
}

// load reads the authorised keys and the marks.
func (s *session) load(ctx context.Context) error {
	keys, err := s.authorized(ctx)
	if err != nil {
		return err
	}
	s.marks, err = ask(ctx, s, instruction(InsAllMarks, 0, 0, nil), parseMarks)
	if err != nil {
		return err
	}
	for i := range keys {
		keys[i].Marks = s.marks
	}
	if many, ok := s.t.(manyKeys); ok {
		if all := many.Authorized(); len(all) > 1 {
			keys = all
		}
	}
	s.keys = nil
	for _, k := range keys {
		pub, err := s.publicKey(ctx, k.Curve, k.Path)
		if err != nil {
			return err
		}
		s.keys = append(s.keys, sessionKey{Authorized: k, pub: pub})
	}
	return nil
}

// stillThere is a probe: the app is open, not locked, and the authorised key is what it was.
func (s *session) stillThere(ctx context.Context) error {
	keys, err := s.authorized(ctx)
	if err != nil {
		return err
	}
	if len(keys) == 0 && len(s.keys) == 0 {
		return nil
	}
	if len(keys) == 0 || len(s.keys) == 0 || keys[0].Curve != s.keys[0].Curve || !slices.Equal(keys[0].Path, s.keys[0].Path) {
		return &device.Error{Health: device.Absent, Hint: "the device is read again", Retry: true, Err: errors.New("another key was authorised")}
	}
	return nil
}

// deviceMarks are the marks that cover a chain, in the contract's form: one for all kinds.
func (s *session) deviceMarks(chain tezos.ChainID) []device.Mark {
	marks := make([]device.Mark, 0, len(s.keys))
	for _, k := range s.keys {
		m := k.Marks.For(chain)
		marks = append(marks, device.Mark{PKH: k.pub.Hash(), Level: clamp(m.Level), Round: clamp(m.Round)})
	}
	return marks
}

// clamp makes an int32 of what the app counts without a sign.
func clamp(n uint32) int32 { return int32(min(n, math.MaxInt32)) }
