package main

import (
	"context"
	"errors"
	"time"
)

// manyKeys is the number of keys of a large baker's daemon, for the cost of start and memory.
const manyKeys = 100

type many struct {
	signatures int
	rate       float64
	ready      time.Duration // from start to ready, the fastest of some
	devices    time.Duration // part of the start for making and opening the emulated devices
	rss        int64         // bytes, the most
	size       int64         // of marks.db, bytes
	sizeBefore int64
}

const starts = 3

// measureMany loads a daemon of many keys for the given number of signatures, and restarts the daemon several times.
func (p plan) measureMany(ctx context.Context, signatures int64) (out many, err error) {
	d, err := p.startDaemon(ctx, manyKeys, 0, false)
	if err != nil {
		return out, err
	}
	if out.sizeBefore, err = d.MarksSize(); err != nil {
		return out, errors.Join(err, d.Stop())
	}
	s, err := load(ctx, d.contender, keptStyle, time.Hour, signatures)
	if err != nil {
		return out, errors.Join(err, d.Stop())
	}
	out.signatures, out.rate = len(s.latency), s.rate()
	if out.rss, err = peakRSS(d.PID()); err != nil {
		return out, errors.Join(err, d.Stop())
	}
	if err = d.Stop(); err != nil {
		return out, err
	}
	if out.size, err = d.MarksSize(); err != nil {
		return out, err
	}
	for i := range starts {
		if err = d.start(ctx); err != nil {
			return out, err
		}
		if i == 0 || d.ready < out.ready {
			out.ready = d.ready
		}
		if err = d.Stop(); err != nil {
			return out, err
		}
	}
	out.devices, err = openDevices(ctx, manyKeys)
	return out, err
}
