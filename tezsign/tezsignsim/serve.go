package tezsignsim

import (
	"context"
	"errors"
	"io"

	"highwater/tezsign/frame"
)

// ErrNoPower is returned when the gadget has no power.
var ErrNoPower = errors.New("the simulated gadget has no power")

// Serve runs one interface of the gadget over endpoint files, as FunctionFS gives the files: one Read of out is one
// transfer, one Write to in one frame. The kernel splits frames into packets and, like the gadget, adds no
// zero-length packet. Serve ends when reading or writing fails, because the host's side was disabled. When the host's
// side is enabled again, call Serve with again true: the host is asked for the requests sent meanwhile. To end Serve
// with ctx, close the files. Do not use the emulated bus of Open for the same gadget.
//
// Endpoint 0 is the caller's: answer control requests with Readiness.
func (g *Gadget) Serve(ctx context.Context, iface int, out io.Reader, in io.Writer, again bool) error {
	inst := g.running()
	if inst == nil {
		return ErrNoPower
	}
	b := newBroker(iface, inst, g)
	defer b.workers.Wait()
	if again {
		wire, err := frame.Encode(frame.Frame{Type: frame.Retry})
		if err != nil {
			return err
		}
		if _, err := in.Write(wire); err != nil {
			return err
		}
		b.resend++
	}
	err := b.run(ctxReader{ctx, out}, in)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// ctxReader begins no read after the end.
type ctxReader struct {
	ctx context.Context //nolint:containedctx // of one call of Serve
	r   io.Reader
}

func (c ctxReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
