package nodesim

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"highwater/internal/node"
	"highwater/internal/tezos"
)

// ServeHTTP answers as octez-node does.
func (n *Node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.served.Add(1)
	if d := n.Faults().Delay; d > 0 {
		select {
		case <-time.After(d):
		case <-r.Context().Done():
			return
		}
	}
	if n.Faults().Down {
		panic(http.ErrAbortHandler) // net/http's way to drop a connection
	}
	switch {
	case r.Method != http.MethodGet:
		answer(w, http.StatusMethodNotAllowed, []object{{"kind": "temporary", "id": "RPC.Unexpected_method"}})
	case r.URL.Path == "/monitor/heads/main":
		n.stream(w, r)
	default:
		status, v := n.get(r.URL)
		answer(w, status, v)
	}
}

func answer(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`[]`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // a client gone away needs no answer
}

// get answers everything but the stream.
func (n *Node) get(u *url.URL) (int, any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch u.Path {
	case "/version":
		return http.StatusOK, object{
			"version":         object{"major": 24, "minor": 0, "build": 0, "additional_info": "release"},
			"network_version": object{"chain_name": "TEZOS_EMULATED", "distributed_db_version": 2, "p2p_version": 1},
			"commit_info":     object{"commit_hash": "00000000", "commit_date": "2026-01-01 00:00:00 +0000"},
		}
	case "/chains/main/chain_id":
		return http.StatusOK, n.chainText()
	case "/chains/main/is_bootstrapped":
		state := n.faults.State
		if state == "" {
			state = "synced"
			if n.faults.Starting {
				state = "unsynced"
			}
		}
		return http.StatusOK, object{"bootstrapped": !n.faults.Starting, "sync_state": state}
	}
	id, rest, ok := strings.Cut(strings.TrimPrefix(u.Path, "/chains/main/blocks/"), "/")
	b := n.find(id)
	if !ok || !strings.HasPrefix(u.Path, "/chains/main/blocks/") || b == nil || b.header.Level < n.faults.Oldest {
		return http.StatusNotFound, []object{{"kind": "temporary", "id": "failure", "msg": "block or path not found"}}
	}
	return n.ofBlock(b, rest, u.Query())
}

func (n *Node) find(id string) *block {
	if id == "head" {
		return n.head()
	}
	if level, err := strconv.ParseInt(id, 10, 32); err == nil {
		if at := slices.IndexFunc(n.chain, func(b *block) bool { return int64(b.header.Level) == level }); at >= 0 {
			return n.chain[at]
		}
		return nil
	}
	hash, err := tezos.ParseHash32(id)
	if err != nil {
		return nil
	}
	return n.known[hash]
}

func (n *Node) ofBlock(b *block, path string, q url.Values) (int, any) {
	switch path {
	case "header":
		return http.StatusOK, n.fullHeader(b)
	case "header/raw":
		return http.StatusOK, hex.EncodeToString(b.raw)
	case "metadata":
		return http.StatusOK, n.metadata(b)
	case "protocols":
		return http.StatusOK, n.protocols()
	case "operations/0":
		return http.StatusOK, n.operations(b)
	case "helpers/current_level":
		return http.StatusOK, object{
			"level": b.header.Level, "cycle": (b.header.Level - 1) / CycleLength,
			"cycle_position": (b.header.Level - 1) % CycleLength,
		}
	case "helpers/levels_in_current_cycle":
		offset, err := strconv.ParseInt(q.Get("offset"), 10, 32)
		cycle := (b.header.Level-1)/CycleLength + int32(offset)
		if err != nil || cycle < 0 {
			return http.StatusInternalServerError, []object{{"kind": "permanent", "id": "proto.cycle"}}
		}
		return http.StatusOK, object{"first": cycle*CycleLength + 1, "last": (cycle + 1) * CycleLength}
	case "helpers/baking_rights", "helpers/attestation_rights":
		if n.faults.NoRights {
			return http.StatusForbidden, []object{}
		}
		rights, err := n.rights(path, q)
		if err != nil {
			return http.StatusBadRequest, []object{{"kind": "temporary", "id": "failure", "msg": err.Error()}}
		}
		return http.StatusOK, rights
	}
	return http.StatusNotFound, []object{{"kind": "temporary", "id": "failure", "msg": "path not found"}}
}

// CycleLength is the number of levels of a cycle.
const CycleLength = 50

func (n *Node) rights(path string, q url.Values) ([]object, error) {
	wanted := func(s node.Signer) bool {
		return len(q["delegate"])+len(q["consensus_key"]) == 0 ||
			slices.Contains(q["delegate"], s.Delegate.String()) || slices.Contains(q["consensus_key"], s.Key.String())
	}
	maxRound, err := strconv.ParseInt("0"+q.Get("max_round"), 10, 32)
	if err != nil {
		return nil, err
	}
	out := []object{}
	for _, text := range q["level"] {
		level, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return nil, err
		}
		if path == "helpers/baking_rights" {
			out = append(out, n.bakingRights(int32(level), int32(maxRound), wanted)...)
		} else if d := n.attestationRights(int32(level), wanted); len(d) > 0 {
			out = append(out, object{"level": level, "delegates": d})
		}
	}
	return out, nil
}

// stream gives the head, and each further head. A head that comes and goes between two looks is left out, as on a slow
// link.
func (n *Node) stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	var last *block
	for {
		n.mu.Lock()
		head, changed, cut := n.head(), n.changed, n.cut
		n.mu.Unlock()
		if head != last {
			b, err := json.Marshal(n.monitorHeader(head))
			if err != nil {
				panic(err) // strings and numbers: a programmer's mistake
			}
			if _, err = w.Write(append(b, '\n')); err != nil {
				return
			}
			if err = http.NewResponseController(w).Flush(); err != nil {
				return
			}
			last = head
		}
		select {
		case <-changed:
		case <-cut:
			panic(http.ErrAbortHandler)
		case <-r.Context().Done():
			return
		}
	}
}

// Control lets another process drive the node: POST /sim/advance, /sim/reorganise?depth=N&again=true, /sim/cut,
// /sim/signed with {"pkh", "payload" (hex), "signature"}, and /sim/faults with Faults as JSON. Each answers with the
// head.
func (n *Node) Control() http.Handler {
	mux := http.NewServeMux()
	act := func(f func(r *http.Request) error) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
			if err := f(r); err != nil {
				answer(w, http.StatusBadRequest, object{"error": err.Error()})
				return
			}
			h := n.Head()
			answer(w, http.StatusOK, object{"hash": h.Hash.BlockHash(), "level": h.Level, "round": h.Round})
		}
	}
	mux.HandleFunc("POST /sim/advance", act(func(*http.Request) error { n.Advance(); return nil }))
	mux.HandleFunc("POST /sim/cut", act(func(*http.Request) error { n.Cut(); return nil }))
	mux.HandleFunc("POST /sim/reorganise", act(func(r *http.Request) error {
		depth, err := strconv.Atoi(r.URL.Query().Get("depth"))
		if err == nil {
			n.Reorganise(depth, r.URL.Query().Get("again") == "true")
		}
		return err
	}))
	mux.HandleFunc("POST /sim/faults", act(func(r *http.Request) error {
		var f Faults
		err := json.NewDecoder(r.Body).Decode(&f)
		if err == nil {
			n.SetFaults(f)
		}
		return err
	}))
	mux.HandleFunc("POST /sim/signed", act(func(r *http.Request) error {
		var v struct {
			PKH       tezos.PublicKeyHash `json:"pkh"`
			Payload   string              `json:"payload"`
			Signature tezos.Signature     `json:"signature"`
		}
		if err := json.NewDecoder(r.Body).Decode(&v); err != nil {
			return err
		}
		payload, err := hex.DecodeString(v.Payload)
		if err != nil {
			return err
		}
		return n.Note(v.PKH, payload, v.Signature)
	}))
	return mux
}
