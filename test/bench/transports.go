package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"highwater/api/socket/client"
	"highwater/internal/baker"
	"highwater/internal/tezos"
)

// transports compares the two protocols of one daemon with one key: Octez's socket protocol on a kept unix connection,
// and HTTP on a kept connection, in turns.
type transports struct {
	http, socket []sample
	device       []time.Duration // the same device alone
}

const (
	transportShare    = 1.3
	transportOverhead = 150 * time.Microsecond
)

const socketConfig = `[socket]
listen = "unix:%s"
`

// measureTransports measures with the state directory on the disk, and in memory: the wait for the disk is the same with
// both protocols.
func (p plan) measureTransports(ctx context.Context) (disk, memory transports, err error) {
	if disk, err = p.transportsIn(ctx, p.dir); err != nil {
		return disk, memory, err
	}
	memory, err = p.transportsIn(ctx, p.runtime)
	return disk, memory, err
}

func (p plan) transportsIn(ctx context.Context, dir string) (out transports, err error) {
	path := filepath.Join(p.runtime, "octez.sock")
	d, err := newDaemonUnder(ctx, p.binary, dir, fmt.Sprintf(socketConfig, path)+emulated(1, 0), 1, nil, p.store())
	if err != nil {
		return out, err
	}
	if err = d.activate(ctx); err != nil {
		return out, err
	}
	if err = d.start(ctx); err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, d.Stop()) }()
	c, err := client.Dial(ctx, "unix:"+path)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	for turn := range p.turns + 1 {
		over, turnErr := load(ctx, d.contender, keptStyle, p.slice, 0)
		if turnErr != nil {
			return out, turnErr
		}
		by, turnErr := loadSocket(ctx, c, d.keys[0], p.slice)
		if turnErr != nil {
			return out, turnErr
		}
		if turn > 0 { // the first turn is a warm-up
			out.http, out.socket = append(out.http, over), append(out.socket, by)
		}
	}
	out.device, err = deviceAlone(ctx, 0, 1000)
	return out, err
}

// loadSocket asks for level after level for the given time. The client verifies outside of the measured latency, as for
// HTTP.
func loadSocket(ctx context.Context, c *client.Conn, key contenderKey, limit time.Duration) (out sample, err error) {
	start := time.Now()
	for time.Since(start) < limit && ctx.Err() == nil {
		step := baker.Step{Chain: benchChain, Kind: tezos.Attestation, Level: key.level.Add(1)}
		payload := step.Payload(tezos.Ed25519)
		asked := time.Now()
		raw, err := c.Ask(client.SignRequest(key.public.Hash(), payload))
		out.latency = append(out.latency, time.Since(asked))
		if err != nil {
			return out, err
		}
		sig, err := tezos.NewSignature(key.public.Curve(), raw)
		if err != nil {
			return out, err
		}
		if err = key.public.Verify(payload, sig); err != nil {
			return out, err
		}
	}
	out.took = time.Since(start)
	return out, ctx.Err()
}

func (m measured) transportRows() []row {
	t := m.inMemory
	device, by := quantile(t.device, 0.5), merge(t.socket...)
	added := by.p50() - device
	return []row{
		m.transportRow("disk as it is", m.onDisk),
		m.transportRow("state in memory", t),
		{
			"  added to a device of 0 ms by the socket protocol, state in memory, p50", "< " + milli(transportOverhead),
			fmt.Sprintf("%s (HTTP: %s)", milli(added), milli(merge(t.http...).p50()-device)),
			times(ratio(added.Seconds(), transportOverhead.Seconds())),
			verdictOf(len(by.latency) > 0 && m.within(added.Seconds(), transportOverhead.Seconds())),
		},
	}
}

func (m measured) transportRow(where string, t transports) row {
	share := rateRatio(t.socket, t.http)
	return row{
		"1 key, socket protocol on a kept unix connection, " + where + ": rate beside HTTP on a kept connection",
		fmt.Sprintf("≥ %.1f ×", transportShare),
		fmt.Sprintf("%.0f/s beside %.0f/s", merge(t.socket...).rate(), merge(t.http...).rate()),
		times(share), verdictOf(share*max(1, m.margin) >= transportShare),
	}
}
