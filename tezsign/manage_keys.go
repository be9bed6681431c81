package tezsign

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	pb "highwater/tezsign/tezsignpb"
)

// KeyResult is what became of one key in a verb that takes several.
type KeyResult struct {
	Alias string
	// Note is set when nothing had to be done ("already unlocked").
	Note string
	// Err is nil when the key is now as it was asked to be.
	Err error
}

// ErrUnknownAlias is wrapped when the gadget has no key of that name.
var ErrUnknownAlias = errors.New("the gadget has no key of this name")

// ErrCorrupted is wrapped when the gadget has lost a key's own watermark.
var ErrCorrupted = errors.New("the gadget has lost this key's own watermark (state_corrupted)")

// ErrStateLost is wrapped when both copies of a key's watermark are broken on the gadget; it is an ErrCorrupted.
var ErrStateLost = fmt.Errorf("%w: %s", ErrCorrupted, lostState)

// ErrNotInitialised is wrapped when the gadget has no seed yet.
var ErrNotInitialised = errors.New("the gadget has no seed yet: highwater tezsign init")

// Texts of the gadget in results per key, which carry no code.
const (
	textBadPassword  = "bad password"
	textWrongSeed    = "seed corrupted or bad password"
	textLostState    = "state corrupted: checksum"
	textCorruptState = "state corrupted"
	textNoSeed       = "/seed.bin: no such file or directory"
)

// resultError makes an error of a result's text.
func resultError(ok bool, text string) error {
	text = printable(text)
	switch {
	case ok && text == "":
		return nil
	case strings.Contains(text, textBadPassword), strings.Contains(text, textWrongSeed):
		return fmt.Errorf("%w: %s", ErrWrongPassphrase, text)
	case strings.Contains(text, textLostState):
		return fmt.Errorf("%w (%s)", ErrStateLost, text)
	case strings.Contains(text, textCorruptState):
		return fmt.Errorf("%w: %s", ErrCorrupted, text)
	case text == "":
		return errors.New("the gadget refused without a reason")
	default:
		return errors.New(text)
	}
}

// Unlock unlocks the named keys, or all that are locked. Only keys that the gadget calls LOCKED in the same session are named in
// the request. The passphrase stays the caller's, to wipe. Beside a daemon that signs it is safe, because a key that is locked
// does not sign; the daemon compares the marks of a key that it finds unlocked before it uses it.
func (m *Manager) Unlock(ctx context.Context, aliases []string, passphrase []byte) (results []KeyResult, err error) {
	if aliases, err = FoldAliases(aliases); err != nil {
		return nil, err
	}
	err = m.with(ctx, nil, func(s *session) error {
		results, err = m.unlock(ctx, s, aliases, passphrase)
		return err
	})
	return results, err
}

func (m *Manager) unlock(ctx context.Context, s *session, aliases []string, passphrase []byte) ([]KeyResult, error) {
	if len(passphrase) == 0 {
		return nil, ErrNoPassphrase
	}
	keys, err := status(ctx, s, m.keys)
	if err != nil {
		return nil, err
	}
	locked, results := lockedOnly(keys, aliases)
	if len(locked) == 0 {
		return results, nil
	}
	if wait := m.unlockPending(time.Now()); wait > 0 {
		return results, fmt.Errorf("%w: try again in %s", ErrUnlocking, wait.Round(time.Second))
	}
	if err = m.tries.take(time.Now()); err != nil {
		return results, err
	}
	req := &pb.KeysWithPassphrase{KeyIds: locked, Passphrase: passphrase}
	resp, err := s.do(ctx, callUnlock(len(locked)), &pb.Request{Body: &pb.Request_Unlock{Unlock: req}})
	var le *linkError
	if errors.As(err, &le) && le.written {
		m.expectUnlock(le.id, len(locked))
	}
	if err != nil {
		return results, throttled(err)
	}
	body, ok := resp.GetBody().(*pb.Response_Unlock)
	if !ok {
		return results, fmt.Errorf("%w to unlock", ErrAnswer)
	}
	return append(results, readResults(locked, body.Unlock)...), nil
}

// lockedOnly gives the aliases that an unlock may name, and what is to be said of the others.
//
// Invariant: an unlocked key is never named; nor is one with state_corrupted, which shows as locked after it was unlocked.
func lockedOnly(keys []KeyState, aliases []string) (locked []string, results []KeyResult) {
	for _, k := range keys {
		if len(aliases) > 0 && !slices.Contains(aliases, k.Alias) {
			continue
		}
		switch {
		case k.Corrupted:
			results = append(results, KeyResult{Alias: k.Alias, Err: ErrCorrupted})
		case k.Locked:
			locked = append(locked, k.Alias)
		case len(aliases) > 0:
			results = append(results, KeyResult{Alias: k.Alias, Note: "already unlocked"})
		}
	}
	for _, a := range aliases {
		if !slices.ContainsFunc(keys, func(k KeyState) bool { return k.Alias == a }) {
			results = append(results, KeyResult{Alias: a, Err: ErrUnknownAlias})
		}
	}
	return locked, results
}

// throttled makes a *ThrottledError of the gadget's own refusal: another process has used up the attempts.
func throttled(err error) error {
	var re *RemoteError
	if errors.As(err, &re) && (re.Code == CodeUnlockThrottled || re.Code == CodeDeleteThrottled) {
		return fmt.Errorf("%w (%w)", &ThrottledError{Wait: triesWindow}, err)
	}
	return err
}

// readResults pairs the results with the keys that were asked for; a key without one is an error.
func readResults(asked []string, got *pb.KeyResults) []KeyResult {
	out := make([]KeyResult, 0, len(asked))
	for _, a := range asked {
		r := KeyResult{Alias: a, Err: fmt.Errorf("%w: nothing about this key", ErrAnswer)}
		for _, g := range got.GetResults() {
			if g.GetKeyId() == a {
				r.Err = resultError(g.GetOk(), g.GetError())
			}
		}
		out = append(out, r)
	}
	return out
}

// Lock locks the named keys.
func (m *Manager) Lock(ctx context.Context, aliases []string) (results []KeyResult, err error) {
	if aliases, err = FoldAliases(aliases); err != nil {
		return nil, err
	}
	err = m.with(ctx, nil, func(s *session) error {
		resp, doErr := s.do(ctx, callLock, &pb.Request{Body: &pb.Request_Lock{Lock: &pb.KeyIDs{KeyIds: aliases}}})
		if doErr != nil {
			return doErr
		}
		body, ok := resp.GetBody().(*pb.Response_Lock)
		if !ok {
			return fmt.Errorf("%w to lock", ErrAnswer)
		}
		results = readResults(aliases, body.Lock)
		return nil
	})
	return results, err
}

// Init makes the gadget's seed. It can be done once. A deterministic key follows from the seed and its creation index, which the gadget
// counts up and never uses twice: a key that was deleted cannot be made again on it.
func (m *Manager) Init(ctx context.Context, deterministic bool, passphrase []byte) error {
	if len(passphrase) == 0 {
		return ErrNoPassphrase
	}
	return m.with(ctx, nil, func(s *session) error {
		req := &pb.InitMaster{Deterministic: deterministic, Passphrase: passphrase}
		resp, err := s.do(ctx, callInit, &pb.Request{Body: &pb.Request_InitMaster{InitMaster: req}})
		if err != nil {
			return err
		}
		return readOk(resp, "init_master")
	})
}

func readOk(resp *pb.Response, request string) error {
	if !resp.GetOk().GetOk() {
		return fmt.Errorf("%w to %s", ErrAnswer, request)
	}
	return nil
}

// NewKey is a key that was made, or why it was not.
type NewKey struct {
	Alias     string
	PublicKey string // BLpk…
	PKH       string // tz4…
	Err       error
}

// NewKeys makes keys, one request each, so that progress (called with how many are done, before each and at the end; may be nil)
// has something to tell: the gadget derives each for seconds. It stops at the first exchange that fails; a key that could not be
// made is in the results.
//
// The gadget does not throttle this request, so that it tells about passphrases without limit: whoever can claim its management
// interface can try them all.
func (m *Manager) NewKeys(ctx context.Context, aliases []string, passphrase []byte, progress func(done, total int)) ([]NewKey, error) {
	if len(passphrase) == 0 {
		return nil, ErrNoPassphrase
	}
	aliases, err := FoldAliases(aliases) // all of them before the first is sent; one without an alias would be named by the gadget
	if err != nil {
		return nil, err
	}
	if progress == nil {
		progress = func(int, int) {}
	}
	var out []NewKey
	err = m.with(ctx, nil, func(s *session) error {
		for i, alias := range aliases {
			progress(i, len(aliases))
			k, failed := newKey(ctx, s, alias, passphrase)
			if failed != nil {
				return failed
			}
			out = append(out, k)
			if errors.Is(k.Err, ErrWrongPassphrase) {
				return k.Err
			}
		}
		progress(len(aliases), len(aliases))
		return nil
	})
	return out, err
}

func newKey(ctx context.Context, s *session, alias string, passphrase []byte) (NewKey, error) {
	req := &pb.KeysWithPassphrase{KeyIds: []string{alias}, Passphrase: passphrase}
	resp, err := s.do(ctx, callNewKeys(1), &pb.Request{Body: &pb.Request_NewKeys{NewKeys: req}})
	if err != nil {
		return NewKey{}, err
	}
	results := resp.GetNewKeys().GetResults()
	if len(results) != 1 || results[0].GetKeyId() != alias {
		return NewKey{}, fmt.Errorf("%w to new_keys", ErrAnswer)
	}
	r := results[0]
	return NewKey{
		Alias: alias, PublicKey: printable(r.GetBlPubkey()), PKH: printable(r.GetTz4()),
		Err: notInitialised(resultError(r.GetOk(), r.GetError())),
	}, nil
}

// notInitialised names what the gadget tells by the name of a file that it misses.
func notInitialised(err error) error {
	if err == nil || !strings.HasSuffix(err.Error(), textNoSeed) {
		return err
	}
	return fmt.Errorf("%w (%w)", ErrNotInitialised, err)
}

// Delete deletes keys for good.
func (m *Manager) Delete(ctx context.Context, aliases []string, passphrase []byte) (results []KeyResult, err error) {
	if len(passphrase) == 0 {
		return nil, ErrNoPassphrase
	}
	if aliases, err = FoldAliases(aliases); err != nil {
		return nil, err
	}
	err = m.with(ctx, nil, func(s *session) error {
		results, err = m.delete(ctx, s, aliases, passphrase)
		return err
	})
	return results, err
}

func (m *Manager) delete(ctx context.Context, s *session, aliases []string, passphrase []byte) ([]KeyResult, error) {
	if err := m.tries.take(time.Now()); err != nil {
		return nil, err
	}
	req := &pb.KeysWithPassphrase{KeyIds: aliases, Passphrase: passphrase}
	resp, err := s.do(ctx, callDelete(len(aliases)), &pb.Request{Body: &pb.Request_DeleteKeys{DeleteKeys: req}})
	var re *RemoteError
	if errors.As(err, &re) && re.Code == CodeBadPassphrase {
		return nil, fmt.Errorf("%w: %w", ErrWrongPassphrase, err)
	}
	if err != nil {
		return nil, throttled(err)
	}
	body, ok := resp.GetBody().(*pb.Response_DeleteKeys)
	if !ok {
		return nil, fmt.Errorf("%w to delete_keys", ErrAnswer)
	}
	return readResults(aliases, body.DeleteKeys), nil
}
