package tezsignsim

import (
	"log/slog"
	"math"
	"slices"
	"time"

	"highwater/tezsign"
	pb "highwater/tezsign/tezsignpb"
)

// proof makes the proof of possession once.
func (k *key) proof() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.pop == "" {
		k.pop = k.soft.Prove().String()
	}
	return k.pop
}

// seconds rounds: the gadget wrote "~13s" for a wait of 13.05 s.
func seconds(d time.Duration) int { return int(math.Round(d.Seconds())) }

func (s *store) unlock(req *pb.KeysWithPassphrase) *pb.Response {
	switch {
	case len(req.GetKeyIds()) == 0:
		return failure(codeUnlockNoIDs, "unlock: no key ids")
	case len(req.GetPassphrase()) == 0:
		return failure(codeUnlockNoPass, "unlock: passphrase required")
	}
	if wait := s.attempt(); wait > 0 {
		return failure(tezsign.CodeUnlockThrottled, "unlock throttled: "+throttleText, seconds(wait))
	}
	out := new(pb.KeyResults)
	for _, id := range req.GetKeyIds() {
		r := &pb.KeyResult{KeyId: id, Error: "unknown key"}
		if k := s.find(id); k != nil {
			r.Error = s.unlockKey(k, req.GetPassphrase(), s.opts.DeriveCost)
		}
		r.Ok = r.GetError() == ""
		if r.GetOk() {
			s.log(slog.LevelInfo, "key unlocked", "key", id)
		} else {
			s.log(slog.LevelError, "UNLOCK", "key", id, "err", r.GetError())
		}
		out.Results = append(out.Results, r)
	}
	return &pb.Response{Body: &pb.Response_Unlock{Unlock: out}}
}

func (s *store) lock(ids []string) *pb.Response {
	if len(ids) == 0 {
		return failure(codeLockNoIDs, "lock: no key ids")
	}
	out := new(pb.KeyResults)
	for _, id := range ids {
		k := s.find(id)
		if k == nil {
			s.log(slog.LevelError, "LOCK", "key", id, "err", "unknown key")
			out.Results = append(out.Results, &pb.KeyResult{KeyId: id, Error: "unknown key"})
			continue
		}
		k.mu.Lock()
		k.unlocked, k.corrupted = false, false
		k.mu.Unlock()
		s.log(slog.LevelInfo, "key locked", "key", id)
		out.Results = append(out.Results, &pb.KeyResult{KeyId: id, Ok: true})
	}
	return &pb.Response{Body: &pb.Response_Lock{Lock: out}}
}

func (s *store) newKeys(req *pb.KeysWithPassphrase) *pb.Response {
	if len(req.GetPassphrase()) == 0 {
		return failure(codeNewNoPass, "new_keys: passphrase required")
	}
	ids := req.GetKeyIds()
	if len(ids) == 0 {
		ids = []string{""}
	}
	out := new(pb.NewKeyResults)
	for _, id := range ids {
		if aliasForm.MatchString(fold(id)) {
			id = fold(id) // the answer names the key by the folded alias
		}
		if id == "" && s.right(req.GetPassphrase()) {
			name, err := s.nextName()
			if err != nil {
				return failure(codeNewOther, "new_keys: %v", err)
			}
			id = name
		}
		r := &pb.NewKeyResult{KeyId: id, Error: s.newKey(id, req.GetPassphrase())}
		if r.GetError() == "" {
			pub := s.find(id).soft.PublicKey()
			r.Ok, r.BlPubkey, r.Tz4 = true, pub.String(), pub.Hash().String()
			s.log(slog.LevelInfo, "key created", "key", id)
		}
		out.Results = append(out.Results, r)
	}
	return &pb.Response{Body: &pb.Response_NewKeys{NewKeys: out}}
}

func (s *store) newKey(id string, passphrase []byte) string {
	switch {
	case id != "" && !aliasForm.MatchString(id):
		return "invalid key_id"
	case !s.initialised():
		return "open " + s.opts.StorePath + "/seed.bin: no such file or directory"
	}
	time.Sleep(2 * s.opts.DeriveCost)
	switch {
	case !s.right(passphrase):
		return "seed corrupted or bad password"
	case s.find(id) != nil:
		return "key_id already exists"
	}
	if err := s.create(id); err != nil {
		return err.Error()
	}
	return ""
}

func (s *store) initialised() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.master != nil
}

func (s *store) init(req *pb.InitMaster) *pb.Response {
	switch {
	case len(req.GetPassphrase()) == 0:
		return failure(codeInitNoPass, "init_master: passphrase required")
	case s.initialised():
		return failure(tezsign.CodeInitialised, "init_master: master json already initialized")
	}
	time.Sleep(s.opts.DeriveCost)
	if err := s.initMaster(req.GetDeterministic(), req.GetPassphrase()); err != nil {
		return failure(codeInitNoPass+2, "init_master: %v", err)
	}
	return okay()
}

func (s *store) initInfo() *pb.Response {
	s.mu.Lock()
	defer s.mu.Unlock()
	info := new(pb.InitInfo)
	if s.master != nil {
		info.MasterPresent, info.DeterministicEnabled = true, s.master.Deterministic
	}
	return &pb.Response{Body: &pb.Response_InitInfo{InitInfo: info}}
}

func (s *store) deleteKeys(req *pb.KeysWithPassphrase) *pb.Response {
	switch {
	case len(req.GetKeyIds()) == 0:
		return failure(codeDeleteNoIDs, "delete_keys: no key ids")
	case len(req.GetPassphrase()) == 0:
		return failure(codeDeleteNoPass, "delete_keys: passphrase required")
	}
	if wait := s.attempt(); wait > 0 {
		return failure(tezsign.CodeDeleteThrottled, "delete throttled: "+throttleText, seconds(wait))
	}
	time.Sleep(s.opts.DeriveCost)
	if !s.right(req.GetPassphrase()) {
		return failure(tezsign.CodeBadPassphrase, "delete_keys: invalid passphrase")
	}
	out := new(pb.KeyResults)
	for _, id := range req.GetKeyIds() {
		r := &pb.KeyResult{KeyId: id, Error: s.delete(id)}
		r.Ok = r.GetError() == ""
		out.Results = append(out.Results, r)
	}
	return &pb.Response{Body: &pb.Response_DeleteKeys{DeleteKeys: out}}
}

func (s *store) delete(id string) string {
	id = fold(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	at := slices.IndexFunc(s.keys, func(k *key) bool { return k.alias == id })
	if at < 0 {
		return "unknown key"
	}
	if s.dead {
		return errPower.Error()
	}
	for _, name := range []string{"keys/" + id + keySuffix, stateName(id)} {
		if err := s.disk.remove(name); err != nil {
			return err.Error()
		}
	}
	s.keys = slices.Delete(s.keys, at, at+1)
	return ""
}
