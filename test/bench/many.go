package main

import (
	"context"
	"errors"
	"time"
)

// manyKeys is the number of keys of a large baker's daemon, for the cost of start and memory; mostKeys is for the start
// alone.
const (
	manyKeys = 100
	mostKeys = 1000
)

// startTimes are the times of a start.
type startTimes struct {
	ready   time.Duration // from start to ready, the fastest of some
	devices time.Duration // part of the start for making and opening the emulated devices
}

// own is the daemon's own part.
func (s startTimes) own() time.Duration { return max(0, s.ready-s.devices) }

type many struct {
	signatures int
	rate       float64
	start      startTimes // of manyKeys
	startMost  startTimes // of mostKeys
	rss        int64      // bytes, the most
	size       int64      // of marks.db, bytes
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
	if out.start, err = measureStarts(ctx, d, manyKeys); err != nil {
		return out, err
	}
	most, err := p.startDaemon(ctx, mostKeys, 0, false)
	if err != nil {
		return out, err
	}
	if err = most.Stop(); err != nil {
		return out, err
	}
	out.startMost, err = measureStarts(ctx, most, mostKeys)
	return out, err
}

// measureStarts starts a stopped daemon several times.
func measureStarts(ctx context.Context, d *daemon, keys int) (out startTimes, err error) {
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
		devices, err := openDevices(ctx, keys)
		if err != nil {
			return out, err
		}
		if i == 0 || devices < out.devices {
			out.devices = devices
		}
	}
	return out, nil
}
