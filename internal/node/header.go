package node

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"highwater/internal/tezos"
)

// Header holds the needed fields of a block's header.
type Header struct {
	Hash        tezos.Hash32
	Predecessor tezos.Hash32
	Level       int32
	Round       int32 // the last field of the fitness
	Timestamp   time.Time
}

func (h Header) String() string {
	return fmt.Sprintf("block %s at level %d round %d", h.Hash.BlockHash(), h.Level, h.Round)
}

// Head asks for the header of the head.
func (c *Client) Head(ctx context.Context) (Header, error) {
	return ask(ctx, c, "/chains/main/blocks/head/header", nil, maxSmall, parseHeader)
}

// Header asks for the header of a block.
func (c *Client) Header(ctx context.Context, block tezos.Hash32) (Header, error) {
	h, err := ask(ctx, c, blockPath(block)+"/header", nil, maxSmall, parseHeader)
	if err == nil && h.Hash != block {
		return Header{}, c.bad(blockPath(block)+"/header", errors.New("the answer is another block"))
	}
	return h, err
}

// HeaderAt asks for the header of the block at a level of the main chain.
func (c *Client) HeaderAt(ctx context.Context, level int32) (Header, error) {
	path := fmt.Sprintf("/chains/main/blocks/%d/header", level)
	h, err := ask(ctx, c, path, nil, maxSmall, parseHeader)
	if err == nil && h.Level != level {
		return Header{}, c.bad(path, errors.New("the answer is of another level"))
	}
	return h, err
}

func blockPath(block tezos.Hash32) string { return "/chains/main/blocks/" + block.BlockHash() }

// parseHeader reads the common fields of /header and /monitor/heads.
func parseHeader(b []byte) (Header, error) {
	var v struct {
		Hash        string   `json:"hash"`
		Predecessor string   `json:"predecessor"`
		Level       *int32   `json:"level"`
		Timestamp   string   `json:"timestamp"`
		Fitness     []string `json:"fitness"`
	}
	if err := read(b, &v); err != nil {
		return Header{}, err
	}
	round, err := fitnessRound(v.Fitness, v.Level)
	if err != nil {
		return Header{}, err
	}
	level, round32, err := position(v.Level, &round)
	if err != nil {
		return Header{}, err
	}
	h := Header{Level: level, Round: round32}
	if h.Hash, err = blockHash(v.Hash); err != nil {
		return Header{}, err
	}
	if h.Predecessor, err = blockHash(v.Predecessor); err != nil {
		return Header{}, err
	}
	if h.Timestamp, err = time.Parse(time.RFC3339, v.Timestamp); err != nil {
		return Header{}, fmt.Errorf("timestamp: %w", err)
	}
	h.Timestamp = h.Timestamp.UTC()
	return h, nil
}

// blockHash reads the hash of a block.
func blockHash(text string) (tezos.Hash32, error) {
	h, err := tezos.ParseHash32(text)
	if err != nil {
		return tezos.Hash32{}, err
	}
	if h.BlockHash() != text {
		return tezos.Hash32{}, fmt.Errorf("%s is no block hash", text)
	}
	return h, nil
}

// fitnessRound gets the round out of a fitness of Tenderbake: five fields of hex: version 02, level, locked round or
// nothing, predecessor round, round. The genesis block, and blocks of an older consensus, have a different fitness, and
// are of no interest here.
func fitnessRound(fields []string, level *int32) (int32, error) {
	if len(fields) != 5 || fields[0] != "02" {
		return 0, fmt.Errorf("a fitness of Tenderbake has five fields and version 02: %.80q", fields)
	}
	inside, err := hexInt32(fields[1])
	if err != nil {
		return 0, err
	}
	if level == nil || inside != *level {
		return 0, errors.New("the level in the fitness is not the level of the header")
	}
	return hexInt32(fields[4])
}

func hexInt32(text string) (int32, error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != 4 {
		return 0, fmt.Errorf("%.40q is no 4-byte field of a fitness", text)
	}
	return int32(binary.BigEndian.Uint32(b)), nil //nolint:gosec // signed in Octez; a negative number is refused
}
