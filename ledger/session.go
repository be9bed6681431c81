package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"time"

	"highwater/internal/device"
	"highwater/internal/tezos"
)

// session is one connection to an identified baking app. One goroutine at a time uses a session.
type session struct {
	t      Transport
	log    *slog.Logger
	limit  time.Duration // of an exchange without a prompt
	slow   func(command) // called when the answer to a question takes unusually long
	broken bool          // an answer is lost or outstanding: no command may follow
	// foreign: the connected device is not the configured device.
	foreign bool

	version AppVersion
	root    tezos.PublicKeyHash
	keys    []sessionKey
	marks   Marks
	alarm   string
	byHand  bool // the operator has just set the marks: the next marks read are no news
	notes   []string
	allowed []device.Mark // the levels up to which the host allows raising the device's own marks
}

// sessionKey is an authorised key.
type sessionKey struct {
	Authorized
	pub  *tezos.PublicKey
	last tezos.Kind // the kind signed last in this session; zero: none
}

// Close ends the connection.
func (s *session) Close() error { return s.t.Close() }

// call does one exchange without a prompt and returns the data of a 9000. call ends with the exchange or at the time
// limit, never earlier. After a lost answer the session is broken.
func (s *session) call(ctx context.Context, c command) ([]byte, error) {
	return s.within(ctx, s.limit, c)
}

func (s *session) within(ctx context.Context, limit time.Duration, c command) ([]byte, error) {
	if ctx.Done() != nil {
		ctx = context.WithoutCancel(ctx)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, noAnswerError{c.name, limit})
	defer cancel()
	return s.exchange(ctx, c)
}

// noAnswerError names the command without an answer in time. The text is made on demand, which is hardly ever.
type noAnswerError struct {
	command string
	limit   time.Duration
}

func (e noAnswerError) Error() string {
	return fmt.Sprintf("no answer to %s within %s", e.command, e.limit)
}

// exchange does one exchange and returns the data of a 9000. The error is an *Error.
func (s *session) exchange(ctx context.Context, c command) ([]byte, error) {
	if s.broken {
		return nil, absent(errors.New("the connection is broken"))
	}
	start := time.Now()
	out, err := s.t.Exchange(ctx, c.raw)
	if s.log.Enabled(ctx, slog.LevelDebug) { // the texts cost more than the rest
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

// statusWord is the status word of an answer, for the log. Questions and answers hold payloads and signatures, and
// are never logged.
func statusWord(answer []byte) string {
	if len(answer) < swSize {
		return ""
	}
	return fmt.Sprintf("%04x", answer[len(answer)-swSize:])
}

// lost is the error of an exchange without an answer.
func (s *session) lost(ctx context.Context, c command, err error) error {
	s.broken = true
	if ctx.Err() != nil {
		return &device.Error{Health: device.Busy, Hint: adviceBusy, Retry: true, Err: context.Cause(ctx)}
	}
	return absent(fmt.Errorf("%s: %w", c.name, err))
}

// outOfStep is the error of an answer that belongs to another command. The owner opens the connection anew.
func (s *session) outOfStep(c command, err error) error {
	s.broken = true
	return absent(fmt.Errorf("%s: %w", c.name, err))
}

// patience is the time from a question to a status of "busy". The system and the app answer within milliseconds
// unless a prompt is on the screen, and an operator should learn about a prompt within a second. Public keys are
// asked for after other questions were answered, hence no prompt is on the screen. An old device takes a second to
// derive a key, and longer under load.
const (
	patience       = 900 * time.Millisecond
	derivePatience = 3 * time.Second
)

// ask does a call that is not a signature, and parses the answer. An answer that does not belong to the command
// breaks the session.
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

// identify finds out which app is open. Each command's answer has a form of its own: a late answer to an earlier
// host's command is noticed here.
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
		return &device.Error{
			Health: device.Broken, Hint: adviceUpdate, Err: fmt.Errorf("version %s of the app is not supported", s.version),
		}
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
	return &device.Error{
		Health: device.WrongApp, Hint: adviceWrong, Retry: true, Err: fmt.Errorf("the app %q is open", name),
	}
}

func (s *session) publicKey(ctx context.Context, curve Curve, path Path) (*tezos.PublicKey, error) {
	return ask(ctx, s, publicKeyCommand(InsPublicKey, curve, path), func(b []byte) (*tezos.PublicKey, error) {
		return parsePublicKey(curve, b)
	})
}

// authorized asks for the authorised key, if any.
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

// stillThere is a probe: the app is open and not locked, and the authorised key is unchanged.
func (s *session) stillThere(ctx context.Context) error {
	keys, err := s.authorized(ctx)
	if err != nil {
		return err
	}
	if len(keys) == 0 && len(s.keys) == 0 {
		return nil
	}
	if len(keys) == 0 || len(s.keys) == 0 || !keys[0].same(s.keys[0].Authorized) {
		return &device.Error{
			Health: device.Absent, Hint: "the device is read again", Retry: true,
			Err: errors.New("another key was authorised"),
		}
	}
	return nil
}

// deviceMarks are the marks that cover a chain, in the form of device.Reconciler: one mark for all kinds.
func (s *session) deviceMarks(chain tezos.ChainID) []device.Mark {
	marks := make([]device.Mark, 0, len(s.keys))
	for _, k := range s.keys {
		m := k.Marks.For(chain)
		marks = append(marks, device.Mark{PKH: k.pub.Hash(), Level: clamp(m.Level), Round: clamp(m.Round)})
	}
	return marks
}

// clamp makes an int32 of the app's unsigned number.
func clamp(n uint32) int32 { return int32(min(n, math.MaxInt32)) }
