package ledgersim

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"highwater/internal/tezos"
	"highwater/ledger"
)

// Device is an emulated Ledger. The methods are the hands of its user, and the accidents; all are safe for concurrent
// use.
type Device struct {
	opt Options

	mu      sync.Mutex
	app     *app
	running bool   // the baking app is open
	other   string // name of another open app; empty, with running false: the dashboard is shown
	locked  bool
	sdkPIN  bool // the system answers 5515 when locked; false: only the app checks the PIN
	prompt  *prompt
	faults  func(apdu []byte) Fault

	// pending is the number of the exchange without an answer yet, or 0. Until the answer every APDU is dropped.
	pending, serial uint64
	conn            *Conn // the receiver of answers
}

// New makes a device with the baking app open, not locked.
func New(opt Options) (*Device, error) {
	if opt.Version.name == "" {
		opt.Version = V250
	}
	w, err := newWallet(opt.Seed)
	if err != nil {
		return nil, err
	}
	a := &app{version: opt.Version, wallet: w, hwmOn: true, pinValid: true, mainnet: opt.AllowMainnet, nv: []record{{}}}
	for i, s := range opt.Setup {
		if s.Path == nil {
			s.Path = ledger.DefaultPath
		}
		id := keyID{s.Curve, slices.Clone(s.Path)}
		if _, err := a.curve(byte(s.Curve)); err != nil {
			return nil, fmt.Errorf("app %s does not know the curve %s", opt.Version.name, s.Curve)
		}
		if _, err := a.key(id); err != nil {
			return nil, fmt.Errorf("key %s/%s: %w", s.Curve, s.Path, err)
		}
		rec := record{chain: s.Chain, main: mark{level: s.Main}, test: mark{level: s.Test}, key: id}
		if i == 0 {
			a.nv[0] = rec
		} else {
			a.nv = append(a.nv, rec)
		}
	}
	a.start()
	return &Device{opt: opt, app: a, running: true, sdkPIN: true}, nil
}

// Authorized lists every authorised key with its marks: the emulator's extension beside the wire protocol.
func (d *Device) Authorized() []ledger.Authorized {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []ledger.Authorized
	for _, r := range d.app.ram {
		if len(r.key.path) > 0 {
			out = append(out, ledger.Authorized{Curve: r.key.curve, Path: slices.Clone(r.key.path), Marks: ledger.Marks{
				Main:  ledger.Watermark{Level: r.main.level, Round: r.main.round},
				Test:  ledger.Watermark{Level: r.test.level, Round: r.test.round},
				Chain: r.chain,
			}})
		}
	}
	return out
}

// PublicKey is the key at a path, without an exchange.
func (d *Device) PublicKey(curve ledger.Curve, path ledger.Path) (*tezos.PublicKey, error) {
	k, err := d.app.wallet.derive(curve, path)
	if err != nil {
		return nil, err
	}
	return publicKey(curve, k)
}

// Lock lets the PIN lock close.
func (d *Device) Lock() { d.change(func() { d.setLocked(true) }) }

// Unlock is the user entering the PIN.
func (d *Device) Unlock() { d.change(func() { d.setLocked(false) }) }

func (d *Device) setLocked(on bool) { d.locked, d.app.pinValid = on, !on }

// SetSystemPIN says whether the system checks the PIN before the app sees a command, as all known firmware does.
func (d *Device) SetSystemPIN(on bool) { d.change(func() { d.sdkPIN = on }) }

// SetHWM is the setting "High Watermark" of the device's menu: whether a signature's mark goes to NVRAM at once.
func (d *Device) SetHWM(on bool) { d.change(func() { d.app.hwmOn = on }) }

// SetFaults installs a script, called at each command; nil removes the script. The script must not call the device.
func (d *Device) SetFaults(script func(apdu []byte) Fault) { d.change(func() { d.faults = script }) }

// PowerCycle cuts the power and opens the app again. The content of RAM is lost, with prompts and outstanding
// answers.
func (d *Device) PowerCycle() {
	d.change(func() {
		d.replug()
		d.app.start()
		d.running, d.other = true, ""
	})
}

// Quit is the menu entry: the app saves the RAM copy, and the dashboard appears.
func (d *Device) Quit() {
	d.change(func() {
		d.app.save()
		d.leave("")
	})
}

// OpenOther opens another app; the baking app saves nothing.
func (d *Device) OpenOther(name string) { d.change(func() { d.leave(name) }) }

// Open opens the baking app.
func (d *Device) Open() {
	d.change(func() {
		if !d.running {
			d.replug()
			d.app.start()
			d.running, d.other = true, ""
		}
	})
}

// expire follows an answer that the host did not fetch: the app ends without saving, and the device asks for the PIN.
func (d *Device) expire() {
	d.change(func() {
		d.leave("")
		d.setLocked(true)
	})
}

// Unplug cuts the connection; nothing else changes.
func (d *Device) Unplug() { d.change(d.cut) }

func (d *Device) change(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

// leave ends the app: the device shows another app, or the dashboard, and appears anew on the bus.
func (d *Device) leave(other string) {
	d.replug()
	d.running, d.other = false, other
}

func (d *Device) replug() {
	d.pending, d.prompt = 0, nil
	d.cut()
}

func (d *Device) cut() {
	if d.conn != nil {
		d.conn.end()
		d.conn = nil
	}
}

// Prompt is the prompt on the screen, if any.
func (d *Device) Prompt() (Prompt, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.prompt == nil {
		return Prompt{}, false
	}
	return d.prompt.Prompt, true
}

// Answer decides the prompt on the screen, and reports whether a prompt was on the screen.
func (d *Device) Answer(decision Decision) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.prompt == nil || decision == Hold {
		return false
	}
	d.resolve(d.pending, decision, Fault{})
	return true
}

// Exchange hands an APDU to the device and returns the answer, or nil when the device drops the command or holds a
// prompt. Exchange has no latency, no faults and no connection: tests and replays reach the app itself.
func (d *Device) Exchange(apdu []byte) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pending != 0 {
		return nil
	}
	d.serial++
	out, p := d.process(apdu)
	if p == nil {
		d.trace(apdu, out)
		return out
	}
	switch d.decide(p.Prompt) {
	case Accept:
		return p.resolve(true)
	case Reject:
		return p.resolve(false)
	case Hold:
	}
	d.prompt, d.pending = p, d.serial
	return nil
}

func (d *Device) trace(apdu, answer []byte) {
	if d.opt.Trace != nil {
		d.opt.Trace(apdu, answer)
	}
}

func (d *Device) decide(p Prompt) Decision {
	if d.opt.Decide == nil {
		return Hold
	}
	return d.opt.Decide(p)
}

// process lets the system and the app answer. The caller holds the lock.
func (d *Device) process(b []byte) ([]byte, *prompt) {
	if d.locked && d.sdkPIN {
		return answer(swLocked), nil
	}
	name, version := defaultAppName, d.app.version.name
	if !d.running {
		if name, version = d.other, "1.0.0"; name == "" {
			name = "BOLOS"
		}
	}
	if out, quit, ok := sdk(b, name, version); ok {
		if quit && (d.running || d.other != "") {
			d.running, d.other = false, "" // the connection ends after the answer
		}
		return out, nil
	}
	switch {
	case d.running:
		return d.app.handle(b)
	case d.other != "":
		return answer(swNoClass), nil
	}
	return answer(swNoApp), nil
}

// accept takes a command from a connection. While an answer is outstanding the command is dropped.
func (d *Device) accept(c *Conn, apdu []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conn != c {
		return errGone
	}
	if d.pending != 0 {
		return nil
	}
	var f Fault
	if d.faults != nil {
		f = d.faults(apdu)
	}
	if f.CutBefore {
		d.cut()
		return nil
	}
	d.serial++
	d.pending = d.serial
	wasRunning := d.running
	out, p := d.process(apdu)
	if f.CutAfter {
		d.cut()
	}
	if p != nil {
		d.show(p, apdu, f)
		return nil
	}
	d.trace(apdu, out)
	d.after(f.Delay+d.latency(apdu, out), func(serial uint64) {
		d.deliver(serial, out, f)
		if wasRunning != d.running {
			d.cut()
		}
	})
	return nil
}

// show puts a prompt on the screen. If the options decide the prompt, the user decides alike. The caller holds the
// lock.
func (d *Device) show(p *prompt, apdu []byte, f Fault) {
	resolve := p.resolve
	p.resolve = func(accept bool) []byte {
		out := resolve(accept)
		d.trace(apdu, out)
		return out
	}
	d.prompt = p
	if decision := d.decide(p.Prompt); decision != Hold {
		d.after(d.opt.PromptDelay, func(serial uint64) { d.resolve(serial, decision, f) })
	}
}

// after runs f under the lock when the time has come, if the exchange is still the same. The caller holds the lock.
func (d *Device) after(wait time.Duration, f func(serial uint64)) {
	serial := d.pending
	if wait <= 0 {
		f(serial)
		return
	}
	time.AfterFunc(wait, func() { d.change(func() { f(serial) }) })
}

// latency is how long the device takes for a signature.
func (d *Device) latency(apdu, out []byte) time.Duration {
	if len(apdu) > 2 && (apdu[1] == 0x04 || apdu[1] == 0x0f) && apdu[2] == 0x81 && len(out) > swSize {
		return d.opt.Latency[d.app.selected.curve]
	}
	return 0
}

// resolve ends the prompt of an exchange. The caller holds the lock.
func (d *Device) resolve(serial uint64, decision Decision, f Fault) {
	if d.pending != serial || d.prompt == nil {
		return
	}
	p := d.prompt
	d.prompt = nil
	d.deliver(serial, p.resolve(decision == Accept), f)
}

// deliver puts an answer on the wire, for the present connection. The caller holds the lock.
func (d *Device) deliver(serial uint64, out []byte, f Fault) {
	if d.pending != serial {
		return // the power was cut meanwhile
	}
	d.pending = 0
	if d.conn == nil || f.Drop {
		return
	}
	if f.Garbage != nil {
		out = f.Garbage
	}
	d.conn.put(out)
	if f.Duplicate {
		d.conn.put(out)
	}
}
