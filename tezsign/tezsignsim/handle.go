package tezsignsim

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/proto"

	"highwater/internal/tezos"
	"highwater/tezsign"
	pb "highwater/tezsign/tezsignpb"
)

// The gadget's error codes, beside the codes that a host must distinguish.
const (
	codeBadProtobuf     = 1
	codeUnlockNoIDs     = 10
	codeUnlockNoPass    = 11
	codeLockNoIDs       = 20
	codeInitNoPass      = 60
	codeNewNoPass       = 70
	codeNewOther        = 71
	codeDeleteNoIDs     = 90
	codeDeleteNoPass    = 91
	codeWrongInterface  = 98
	codeUnknownRequest  = 1000
	codeSignOnManage    = 1001
	throttleText        = "retry in ~%ds (max 5 attempts per 30s)"
	mainnetText         = "the simulator does not sign for mainnet"
	stateCorruptedText  = "sign: state corrupted"
	useManagementText   = "wrong interface: use management (IF1) for this request"
	useSignText         = "wrong interface: use sign (IF0) for signing"
	levelNotGreaterText = "level must be greater than current %s level (current=%d)"
)

func failure(code uint32, format string, args ...any) *pb.Response {
	return &pb.Response{Body: &pb.Response_Error{Error: &pb.Error{Code: code, Message: fmt.Sprintf(format, args...)}}}
}

func okay() *pb.Response { return &pb.Response{Body: &pb.Response_Ok{Ok: &pb.Ok{Ok: true}}} }

// handle answers one request of an interface.
func (s *store) handle(iface int, payload []byte, f *faults) *pb.Response {
	req := new(pb.Request)
	if err := proto.Unmarshal(payload, req); err != nil {
		// The library varies the space after "proto:" from build to build; the recording has a no-break space.
		return failure(codeBadProtobuf, "bad protobuf: proto:\u00a0cannot parse invalid wire-format data")
	}
	switch body := req.GetBody().(type) {
	case *pb.Request_Sign:
		if iface != tezsign.SignInterface {
			return failure(codeSignOnManage, useSignText)
		}
		return s.sign(body.Sign.GetTz4(), body.Sign.GetMessage(), f)
	case *pb.Request_Status:
		return s.status()
	case *pb.Request_Version:
		return &pb.Response{Body: &pb.Response_Version{Version: f.versionAnswer(s.opts)}}
	}
	if iface == tezsign.SignInterface {
		return failure(codeWrongInterface, useManagementText)
	}
	return s.manage(req)
}

func (s *store) manage(req *pb.Request) *pb.Response {
	switch body := req.GetBody().(type) {
	case *pb.Request_Unlock:
		return s.unlock(body.Unlock)
	case *pb.Request_Lock:
		return s.lock(body.Lock.GetKeyIds())
	case *pb.Request_NewKeys:
		return s.newKeys(body.NewKeys)
	case *pb.Request_Logs:
		return &pb.Response{Body: &pb.Response_Logs{Logs: &pb.Logs{Lines: s.lastLines(int(body.Logs.GetLimit()))}}}
	case *pb.Request_InitMaster:
		return s.init(body.InitMaster)
	case *pb.Request_InitInfo:
		return s.initInfo()
	case *pb.Request_SetLevel:
		return s.setLevel(body.SetLevel)
	case *pb.Request_DeleteKeys:
		return s.deleteKeys(body.DeleteKeys)
	default:
		return failure(codeUnknownRequest, "unknown request")
	}
}

// readPayload reads all that the gadget looks at: the kind, and level and round at fixed places.
func readPayload(p []byte) (kind tezos.Kind, m mark, ok bool) {
	if len(p) == 0 {
		return 0, mark{}, false
	}
	kind = tezos.Kind(p[0])
	var level, round []byte
	switch kind {
	case tezos.Block:
		const levelAt, fitnessAt = 5, 83
		if len(p) < fitnessAt+4 {
			return 0, mark{}, false
		}
		n := binary.BigEndian.Uint32(p[fitnessAt:])
		rest := p[fitnessAt+4:]
		if n < 4 || uint64(n) > uint64(len(rest)) {
			return 0, mark{}, false
		}
		level, round = p[levelAt:levelAt+4], rest[n-4:n]
	case tezos.Preattestation, tezos.Attestation:
		const levelAt, end = 38, 46
		if len(p) < end {
			return 0, mark{}, false
		}
		level, round = p[levelAt:levelAt+4], p[levelAt+4:end]
	default:
		return 0, mark{}, false
	}
	m = mark{uint64(binary.BigEndian.Uint32(level)), binary.BigEndian.Uint32(round)}
	return kind, m, m.level <= math.MaxInt32 && m.round <= math.MaxInt32
}

func (s *store) sign(tz4 string, payload []byte, f *faults) *pb.Response {
	k := s.byHash(tz4)
	if k == nil || !k.isKnown() { // looked for first: an unknown key with a bad payload is 31
		return failure(tezsign.CodeKeyNotFound, "key not found")
	}
	kind, at, ok := readPayload(payload)
	if !ok {
		return failure(tezsign.CodeBadPayload, "bad sign payload")
	}
	if tezos.ChainID(payload[1:5]) == tezos.Mainnet && !s.opts.AllowMainnet {
		return failure(tezsign.CodeBadPayload, mainnetText)
	}
	begin := time.Now()
	resp := s.signWith(k, kind, at, payload)
	if resp.GetError() == nil {
		time.Sleep(f.latency(s.opts) - time.Since(begin))
		s.opts.Worked(time.Since(begin))
	}
	return resp
}

func (k *key) isKnown() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.known
}

func (s *store) signWith(k *key, kind tezos.Kind, at mark, payload []byte) *pb.Response {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case !k.known:
		return failure(tezsign.CodeKeyNotFound, "key not found")
	case !k.unlocked:
		return failure(tezsign.CodeKeyLocked, "key locked")
	case k.corrupted:
		return failure(tezsign.CodeSign, stateCorruptedText)
	case !at.above(k.marks[kind]):
		return failure(tezsign.CodeStale, "stale level/round")
	}
	k.marks[kind] = at
	if err := s.save(k.alias, k.marks); err != nil {
		return failure(tezsign.CodeSign, "persist state: %v", err)
	}
	sig := k.soft.Sign(payload)
	s.watch.note(Signed{
		Alias: k.alias, Kind: kind, Level: int32(at.level), Round: int32(at.round), //nolint:gosec // readPayload bounds them
		Chain: tezos.ChainID(payload[1:5]), Digest: tezos.Digest(payload),
	})
	return &pb.Response{Body: &pb.Response_Sign{Sign: &pb.Signature{Signature: sig.Bytes()}}}
}

func (s *store) status() *pb.Response {
	out := new(pb.Status)
	for _, k := range s.all() {
		pub := k.soft.PublicKey()
		st := &pb.KeyStatus{
			KeyId: k.alias, LockState: pb.LockState_LOCK_STATE_LOCKED, Tz4: pub.Hash().String(),
			BlPubkey: pub.String(), Pop: k.proof(),
		}
		k.mu.Lock()
		switch {
		case k.corrupted:
			// The gadget shows the key as locked, and forgets the levels read before: set_level takes any level
			// afterwards.
			st.StateCorrupted = true
			k.marks = marks{}
		case k.unlocked:
			st.LockState = pb.LockState_LOCK_STATE_UNLOCKED
			b, p, a := k.marks[tezos.Block], k.marks[tezos.Preattestation], k.marks[tezos.Attestation]
			st.BlockLevel, st.PreattestationLevel, st.AttestationLevel = b.level, p.level, a.level
			st.BlockRound, st.PreattestationRound, st.AttestationRound = b.round, p.round, a.round
		}
		k.mu.Unlock()
		out.Keys = append(out.Keys, st)
	}
	return &pb.Response{Body: &pb.Response_Status{Status: out}}
}

func (s *store) setLevel(req *pb.SetLevel) *pb.Response {
	if text := s.setLevelText(req); text != "" {
		return failure(tezsign.CodeSetLevel, "set_level for key=%s error: %s", req.GetKeyId(), text)
	}
	return okay()
}

func (s *store) setLevelText(req *pb.SetLevel) string {
	k := s.find(req.GetKeyId())
	if k == nil {
		return "key not found"
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.unlocked {
		return "key locked"
	}
	m := marks{} // the gadget has no bound for a level; the host has one
	for _, kind := range tezos.Kinds {
		if req.GetLevel() <= k.marks[kind].level {
			return fmt.Sprintf(levelNotGreaterText, kind, k.marks[kind].level)
		}
		m[kind] = mark{level: req.GetLevel()}
	}
	if err := s.save(k.alias, m); err != nil {
		return "persist state: " + err.Error()
	}
	k.marks, k.corrupted = m, false
	return ""
}
