package node

import (
	"context"
	"errors"
	"net/url"
	"strconv"
)

// Cycle asks for the cycle of the head.
func (c *Client) Cycle(ctx context.Context) (int32, error) {
	return ask(ctx, c, "/chains/main/blocks/head/helpers/current_level", nil, maxSmall, parseCycle)
}

func parseCycle(b []byte) (int32, error) {
	var v struct {
		Cycle *int32 `json:"cycle"`
	}
	if err := read(b, &v); err != nil {
		return 0, err
	}
	if v.Cycle == nil || *v.Cycle < 0 {
		return 0, errors.New("no cycle")
	}
	return *v.Cycle, nil
}

// Levels are the levels First..Last.
type Levels struct{ First, Last int32 }

// CycleLevels asks for the levels of a cycle, counted from the head's cycle: -1 is the cycle before.
func (c *Client) CycleLevels(ctx context.Context, offset int32) (Levels, error) {
	return ask(ctx, c, "/chains/main/blocks/head/helpers/levels_in_current_cycle",
		url.Values{"offset": {strconv.Itoa(int(offset))}}, maxSmall, parseLevels)
}

func parseLevels(b []byte) (Levels, error) {
	var v struct {
		First *int32 `json:"first"`
		Last  *int32 `json:"last"`
	}
	if err := read(b, &v); err != nil {
		return Levels{}, err
	}
	if v.First == nil || v.Last == nil || *v.First < 0 || *v.Last < *v.First {
		return Levels{}, errors.New("no levels of a cycle")
	}
	return Levels{*v.First, *v.Last}, nil
}
