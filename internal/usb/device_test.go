//go:build cgo

package usb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/gousb"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// gousb puts some of libusb's codes into its texts only; they are found all the same.
func TestExplain(t *testing.T) {
	claim := func(e gousb.Error) error {
		//nolint:errorlint // as gousb does
		return fmt.Errorf("claim interface 0: %w", fmt.Errorf("failed to claim interface %d on %s: %v", 0, "vid=2c97", e))
	}
	for _, c := range []struct {
		err  error
		want error
	}{
		{claim(gousb.ErrorBusy), ErrInUse},
		{claim(gousb.ErrorNoDevice), ErrGone},
		{claim(gousb.ErrorNotFound), ErrGone},
		{gousb.ErrorBusy, ErrInUse},
		{fmt.Errorf("control request: %w", gousb.ErrorNoDevice), ErrGone},
		{fmt.Errorf("read: %w", gousb.TransferNoDevice), ErrGone},
	} {
		require.ErrorIs(t, explain(c.err, Info{}), c.want, c.err)
		require.ErrorIs(t, explain(c.err, Info{}), c.err)
	}
	for _, err := range []error{gousb.ErrorTimeout, gousb.TransferStall, gousb.TransferError, errors.New("else")} {
		require.NotErrorIs(t, explain(err, Info{}), ErrGone)
		require.NotErrorIs(t, explain(err, Info{}), ErrInUse)
	}
	var access *AccessError
	require.ErrorAs(t, explain(gousb.ErrorAccess, Info{Vendor: 0x2c97}), &access)
	require.Contains(t, access.Hint, "udev")
}

// An error of the submission means that the kernel has not taken the transfer; a transfer's bad end does not.
func TestUnsent(t *testing.T) {
	require.NoError(t, unsent(nil))
	gone := explain(fmt.Errorf("write: %w", gousb.ErrorNoDevice), Info{})
	require.ErrorIs(t, unsent(gone), ErrUnsent)
	require.ErrorIs(t, unsent(gone), ErrGone)
	require.Equal(t, gone.Error(), unsent(gone).Error())
	for _, err := range []error{
		gousb.TransferNoDevice, gousb.TransferError, gousb.TransferCancelled, errClosed,
		context.Canceled, ErrHung,
	} {
		err = explain(fmt.Errorf("write: %w", err), Info{})
		require.NotErrorIs(t, unsent(err), ErrUnsent)
		require.Equal(t, err, unsent(err))
	}
}

func TestWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failed := errors.New("failed")
		require.ErrorIs(t, within(time.Second, func() error { return failed }), failed)
		hung := make(chan struct{})
		began := time.Now()
		require.ErrorIs(t, within(time.Second, func() error { <-hung; return nil }), ErrHung)
		require.Equal(t, time.Second, time.Since(began))
		close(hung)
	})
}

func TestEndpoints(t *testing.T) {
	ep := func(address gousb.EndpointAddress, kind gousb.TransferType, size int) gousb.EndpointDesc {
		return gousb.EndpointDesc{
			Address: address, Number: int(address & 0xf), Direction: gousb.EndpointDirection(address&0x80 != 0),
			TransferType: kind, MaxPacketSize: size,
		}
	}
	setting := func(eps ...gousb.EndpointDesc) gousb.InterfaceSetting {
		s := gousb.InterfaceSetting{Endpoints: map[gousb.EndpointAddress]gousb.EndpointDesc{}}
		for _, e := range eps {
			s.Endpoints[e.Address] = e
		}
		return s
	}
	in, out, err := endpoints(setting(ep(0x86, gousb.TransferTypeBulk, 512), ep(0x07, gousb.TransferTypeBulk, 512)))
	require.NoError(t, err)
	require.Equal(t, 6, in.Number)
	require.Equal(t, 7, out.Number)
	_, _, err = endpoints(setting(ep(0x82, gousb.TransferTypeInterrupt, 64), ep(0x02, gousb.TransferTypeInterrupt, 64)))
	require.NoError(t, err)
	for _, s := range []gousb.InterfaceSetting{
		setting(),
		setting(ep(0x82, gousb.TransferTypeInterrupt, 64)),
		setting(ep(0x82, gousb.TransferTypeIsochronous, 64), ep(0x02, gousb.TransferTypeBulk, 64)),
	} {
		_, _, err = endpoints(s)
		require.Error(t, err)
	}
}

func TestBusWithoutDevice(t *testing.T) {
	defer goleak.VerifyNone(t)
	b := NewBus(slog.New(slog.DiscardHandler))
	_, err := b.Open(t.Context(), Info{ID: ID{Bus: 250, Address: 120}})
	require.ErrorIs(t, err, ErrGone)
	require.False(t, b.Claimed(Info{}, 0))
	require.NoError(t, b.Close())
	require.NoError(t, b.Close())
}

// A new generation is for a device whose address another one had: libusb may still know that one.
func TestGenerationFits(t *testing.T) {
	g := &generation{known: map[[2]int]ID{{1, 5}: {1, 5, 100}}}
	require.True(t, g.fits(Info{ID: ID{1, 5, 100}}))
	require.False(t, g.fits(Info{ID: ID{1, 5, 101}}))
	require.True(t, g.fits(Info{ID: ID{1, 6, 102}}), "udevd may have told of it")
}
