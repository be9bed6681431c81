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

// KeyResult is the result for one key of a verb that takes several keys.
type KeyResult struct {
	Alias string
	// Note is set when the key was already in the wanted state ("already unlocked").
	Note string
	// Err is nil when the key is in the wanted state.
	Err error
}

// ErrUnknownAlias is wrapped when the gadget has no key with the alias.
var ErrUnknownAlias = errors.New("the gadget has no key of this name")

// ErrCorrupted is wrapped when the gadget has lost a key's own watermark.
var ErrCorrupted = errors.New("the gadget has lost this key's own watermark (state_corrupted)")

// ErrStateLost is wrapped when both copies of a key's watermark on the gadget are broken. ErrStateLost wraps
// ErrCorrupted.
var ErrStateLost = fmt.Errorf("%w: %s", ErrCorrupted, lostState)

// ErrNotInitialised is wrapped when the gadget has no seed yet.
var ErrNotInitialised = errors.New("the gadget has no seed yet: highwater tezsign init")

// The gadget's error texts in results per key, without a code.
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

// Unlock unlocks the named keys, or all locked keys. The request names only keys that the gadget calls LOCKED in the
// same session. The passphrase stays the caller's, who wipes the bytes. Unlock is safe beside a signing daemon,
// because a locked key does not sign: the daemon compares the marks of a newly unlocked key before the key's first
// use.
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

// lockedOnly returns the aliases that an unlock may name, and the results for all other keys.
//
// Invariant: an unlock never names an unlocked key, and never a key with state_corrupted, which the gadget shows as
// locked even after an unlock.
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

// readResults pairs the results with the requested keys. A key without a result gets an error.
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

// Init makes the gadget's seed, once in the gadget's life. A deterministic key follows from the seed and its creation
// index. The gadget counts the index up and uses no index twice: a deleted key cannot be made again on the same
// gadget.
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

// NewKey is a new key, or the reason why the key was not made.
type NewKey struct {
	Alias     string
	PublicKey string // BLpk…
	PKH       string // tz4…
	Err       error
}

// NewKeys makes keys, one request each, because the gadget derives each key for seconds. progress may be nil. NewKeys
// calls progress before each key and at the end, with the number of finished keys. NewKeys stops at the first failed
// exchange; a key that the gadget could not make is in the results.
//
// The gadget does not throttle new_keys, and answers about any number of passphrases: a program with access to the
// management interface can try passphrases without limit.
func (m *Manager) NewKeys(
	ctx context.Context, aliases []string, passphrase []byte, progress func(done, total int),
) ([]NewKey, error) {
	if len(passphrase) == 0 {
		return nil, ErrNoPassphrase
	}
	// fold every alias before the first request; the gadget itself would name a key without an alias
	aliases, err := FoldAliases(aliases)
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

// notInitialised names the error behind the gadget's text about a missing file.
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
