package node

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"highwater/internal/tezos"
)

// Bounds of a question about rights.
const (
	MaxRightsLevels = 256
	MaxRightsKeys   = 128
	maxRightsRows   = 20000
)

// RightsQuery asks for the rights of the delegates and of the consensus keys.
type RightsQuery struct {
	Delegates     []tezos.PublicKeyHash
	ConsensusKeys []tezos.PublicKeyHash
	Levels        []int32 // one or more
	MaxRound      int32   // for baking: rounds 0 to MaxRound
	// Block is the level of the block that is asked: a node knows the rights of its present cycles at the head, and the
	// rights of old cycles at their own blocks. Zero: the head.
	Block int32
}

// at is the path of the questions to a block.
func (q RightsQuery) at() string {
	if q.Block > 0 {
		return "/chains/main/blocks/" + strconv.Itoa(int(q.Block)) + "/helpers/"
	}
	return "/chains/main/blocks/head/helpers/"
}

func (q RightsQuery) values() (url.Values, error) {
	v := url.Values{}
	keys := len(q.Delegates) + len(q.ConsensusKeys)
	if len(q.Levels) == 0 || len(q.Levels) > MaxRightsLevels || keys == 0 || keys > MaxRightsKeys || q.MaxRound < 0 {
		return nil, fmt.Errorf("rights are asked for 1 to %d levels and 1 to %d keys", MaxRightsLevels, MaxRightsKeys)
	}
	for _, l := range q.Levels {
		if l < 0 {
			return nil, fmt.Errorf("rights at the negative level %d", l)
		}
		v.Add("level", strconv.Itoa(int(l)))
	}
	for _, d := range q.Delegates {
		v.Add("delegate", d.String())
	}
	for _, k := range q.ConsensusKeys {
		v.Add("consensus_key", k.String())
	}
	return v, nil
}

func (q RightsQuery) wanted(level int32, s Signer) error {
	if !slices.Contains(q.Levels, level) {
		return fmt.Errorf("rights at the unasked level %d", level)
	}
	if !slices.Contains(q.Delegates, s.Delegate) && !slices.Contains(q.ConsensusKeys, s.Key) {
		return fmt.Errorf("rights of the unasked delegate %s", s.Delegate)
	}
	return nil
}

// BakingRight is the right to make a block.
type BakingRight struct {
	Signer
	Level     int32
	Round     int32
	Estimated time.Time // zero for the past
}

// AttestationRight is the right, and so the duty, to attest a block.
type AttestationRight struct {
	Signer
	Level int32
}

// BakingRights asks for rights to bake, as the block of the query knows the rights: all rounds up to MaxRound, in the
// order of the answer.
func (c *Client) BakingRights(ctx context.Context, q RightsQuery) ([]BakingRight, error) {
	v, err := q.values()
	if err != nil {
		return nil, err
	}
	v.Set("max_round", strconv.Itoa(int(q.MaxRound)))
	v.Set("all", "yes") // every round of a baker, not only the first; a flag: any value does
	return ask(ctx, c, q.at()+"baking_rights", v, maxRights,
		func(b []byte) ([]BakingRight, error) {
			rights, err := parseBakingRights(b)
			for i := 0; err == nil && i < len(rights); i++ {
				err = q.wanted(rights[i].Level, rights[i].Signer)
			}
			if err != nil {
				return nil, err
			}
			return rights, nil
		})
}

// AttestationRights asks for rights to attest, as the block of the query knows the rights.
func (c *Client) AttestationRights(ctx context.Context, q RightsQuery) ([]AttestationRight, error) {
	v, err := q.values()
	if err != nil {
		return nil, err
	}
	return ask(ctx, c, q.at()+"attestation_rights", v, maxRights,
		func(b []byte) ([]AttestationRight, error) {
			rights, err := parseAttestationRights(b)
			for i := 0; err == nil && i < len(rights); i++ {
				err = q.wanted(rights[i].Level, rights[i].Signer)
			}
			if err != nil {
				return nil, err
			}
			return rights, nil
		})
}

func parseBakingRights(b []byte) ([]BakingRight, error) {
	var list []struct {
		Level     *int32 `json:"level"`
		Round     *int32 `json:"round"`
		Delegate  string `json:"delegate"`
		Key       string `json:"consensus_key"`
		Estimated string `json:"estimated_time"`
	}
	if err := read(b, &list); err != nil {
		return nil, err
	}
	if list == nil || len(list) > maxRightsRows {
		return nil, fmt.Errorf("no list of at most %d rights", maxRightsRows)
	}
	out := make([]BakingRight, 0, len(list))
	for _, row := range list {
		var r BakingRight
		var err error
		if r.Level, r.Round, err = position(row.Level, row.Round); err != nil {
			return nil, err
		}
		if r.Signer, err = newSigner(row.Delegate, row.Key); err != nil {
			return nil, err
		}
		if row.Estimated != "" {
			if r.Estimated, err = time.Parse(time.RFC3339, row.Estimated); err != nil {
				return nil, fmt.Errorf("estimated_time: %w", err)
			}
			r.Estimated = r.Estimated.UTC()
		}
		out = append(out, r)
	}
	return out, nil
}

func parseAttestationRights(b []byte) ([]AttestationRight, error) {
	var list []struct {
		Level     *int32 `json:"level"`
		Delegates []struct {
			Delegate string `json:"delegate"`
			Key      string `json:"consensus_key"`
		} `json:"delegates"`
	}
	if err := read(b, &list); err != nil {
		return nil, err
	}
	if list == nil {
		return nil, errors.New("no list of rights")
	}
	out := []AttestationRight{}
	for _, row := range list {
		if row.Level == nil || *row.Level < 0 {
			return nil, errors.New("a right without a level")
		}
		if len(out)+len(row.Delegates) > maxRightsRows {
			return nil, fmt.Errorf("more than %d rights", maxRightsRows)
		}
		for _, d := range row.Delegates {
			s, err := newSigner(d.Delegate, d.Key)
			if err != nil {
				return nil, err
			}
			out = append(out, AttestationRight{Signer: s, Level: *row.Level})
		}
	}
	return out, nil
}
