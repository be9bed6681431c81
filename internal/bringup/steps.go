package bringup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"highwater/api"
	"highwater/hwm"
	"highwater/internal/checklist"
	"highwater/internal/doctor"
	"highwater/store"
)

// IDs of the steps that other steps refer to.
const (
	stepConfig  = "configuration"
	stepStore   = "store"
	stepDevices = "devices"
	stepRole    = "role"
	stepDaemon  = "daemon"
	stepPeer    = "peer"
	stepShared  = "register"
	stepKeys    = "keys"
	stepMarks   = "marks"
	stepFiles   = "baker-files"
	stepDrill   = "drill"
)

// patience is how long a newly started daemon may take to find its devices. poll is the time between two looks.
const (
	patience = 3 * time.Second
	poll     = 200 * time.Millisecond
)

// steps is the checklist, in the order in which a baker prepares a second machine by hand.
func (b *Backup) steps() []Step {
	link := Step{
		ID: stepPeer, After: []string{stepDaemon, stepRole}, Check: b.checkPeer, Skip: "a link between the two",
	}
	if b.Config.Shared() {
		link = Step{ID: stepShared, After: []string{stepStore}, Check: b.checkRegister}
	}
	out := []Step{
		{ID: stepConfig, Check: b.checkConfiguration},
		{ID: stepStore, After: []string{stepConfig}, Check: b.checkStore, Act: b.createMarks},
		{ID: "permissions", After: []string{stepStore}, Check: b.checkPermissions},
		{
			ID: "disk", After: []string{stepStore},
			Check: func(context.Context) checklist.Line { return foundOf(doctor.Sync(b.Config.StateDir)) },
		},
		{ID: stepDevices, After: []string{stepStore}, Check: b.checkDevices, Act: b.settleDevices},
		{ID: stepRole, After: []string{stepStore}, Check: b.checkRole},
		{ID: stepDaemon, After: []string{stepStore}, Check: b.checkDaemon},
		link,
		{
			ID: stepKeys, After: []string{stepDevices, link.ID}, Check: b.checkKeys, Lasting: true,
			Question: "Does the first machine sign with exactly the same keys? Compare with `highwater keys list` on the " +
				"first machine.",
		},
		{ID: stepMarks, After: []string{stepKeys}, Check: b.checkMarks, Act: b.takeMarks, Always: len(b.Files) > 0},
		{
			ID: "node", Check: b.checkNode, Skip: "a node",
			Question: "Does an octez node of the chain run for the backup, and is the node in step? Say where.",
		},
		{ID: "clock", Check: b.checkClocks},
		{
			ID: stepFiles, Check: b.checkBakerFiles, Lasting: true, Skip: "the baker's files",
			Question: "octez-baker keeps seed nonces and highwatermarks of its own in the base directory\n" +
				"(~/.tezos-client). A cycle's attesting reward depends on revealing the nonces. Are the first\n" +
				"machine's files here, or does the first machine keep none? Say how and when.",
		},
		{
			ID: "baker", After: []string{stepDaemon}, Check: b.checkBaker, Skip: "a baker on this machine",
			Question: "Does octez-baker run for the backup, with the same keys at " + b.signerAddress() +
				"? The baker is refused until the switch.",
		},
		{
			ID: stepDrill, After: []string{stepRole, link.ID, stepKeys, stepMarks}, Always: true, Act: b.drill,
			Check: func(context.Context) checklist.Line { return checklist.Line{} }, // only a drill tells
		},
	}
	if b.Config.Shared() {
		ready := Step{ID: "standby", After: []string{stepDaemon, stepRole, stepShared, stepMarks}, Check: b.checkStandby}
		out = slices.Insert(out, len(out)-1, ready)
	}
	return out
}

func (b *Backup) checkConfiguration(context.Context) checklist.Line {
	if b.Record.Chain != b.Config.Chain {
		return checklist.Line{
			Result: checklist.Bad, Detail: fmt.Sprintf(
				"%s is for chain %s, and the checklist was begun for %s", b.Config.Path, b.Config.Chain, b.Record.Chain),
			Hint: "look at `chain` again; to begin anew, on purpose: move " + RecordPath(b.Config) + " away",
		}
	}
	return foundOf(checklist.Good(checklist.Configuration, "%s, chain %s", b.Config.Path, b.Config.ChainID),
		doctor.ConfigMode(b.Config.Path))
}

// checkStore wants the watermark file of this record.
func (b *Backup) checkStore(ctx context.Context) checklist.Line {
	path := filepath.Join(b.Config.StateDir, store.FileName)
	_, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist) && b.Record.Instance != "":
		return checklist.Line{
			Result: checklist.Bad, Detail: fmt.Sprintf("%s existed before, and is gone", path),
			Hint: "find out why; to begin anew, on purpose: move " + RecordPath(b.Config) + " away",
		}
	case errors.Is(err, os.ErrNotExist):
		return waiting("highwater bring-up --yes creates an empty file", "no watermark file at %s", path)
	case err != nil:
		return broken(err)
	}
	st, err := b.Look(ctx)
	if err != nil {
		return broken(err)
	}
	if b.Record.Instance != "" && b.Record.Instance != st.Instance {
		return checklist.Line{
			Result: checklist.Bad, Detail: fmt.Sprintf(
				"%s is of the instance %.8s, and the checklist was begun by %.8s", path, st.Instance, b.Record.Instance),
			Hint: "find the origin of the new file; to begin anew, on purpose: move " + RecordPath(b.Config) + " away",
		}
	}
	b.Record.Instance = st.Instance
	return fine("%s, of the instance %.8s", path, st.Instance)
}

// createMarks makes an empty store, but never replaces a lost store.
func (b *Backup) createMarks(ctx context.Context, f checklist.Line) checklist.Line {
	if f.Result != checklist.Waiting {
		return f
	}
	if b.CreateStore == nil {
		return f
	}
	if err := b.CreateStore(ctx); err != nil {
		return broken(err)
	}
	b.lookAgain()
	return b.checkStore(ctx)
}

func (b *Backup) checkPermissions(context.Context) checklist.Line {
	return foundOf(append([]checklist.Line{doctor.StateDir(b.Config)}, doctor.Buses(b.Config)...)...)
}

func (b *Backup) checkDevices(ctx context.Context) checklist.Line {
	st, err := b.Look(ctx)
	if err != nil {
		return broken(err)
	}
	findings := make([]checklist.Line, 0, len(st.Devices))
	for _, d := range st.Devices {
		f := doctor.Device(d)
		f.Detail = d.Name + ": " + f.Detail
		findings = append(findings, f)
	}
	for _, k := range st.Keys {
		if f := k.Unable(); f != nil {
			line := doctor.UnableKey(k, *f)
			line.Detail = line.Name + " cannot sign here: " + line.Detail
			findings = append(findings, line)
		}
	}
	if len(st.Keys) == 0 {
		findings = append(findings, checklist.New(
			checklist.Keys, checklist.Bad, "no key is known",
			"set the devices up (docs/ledger.md, docs/tezsign.md), and look again: highwater keys list"))
	}
	return foundOf(findings...)
}

// settleDevices gives a newly started daemon time to find its devices.
func (b *Backup) settleDevices(ctx context.Context, f checklist.Line) checklist.Line {
	if st, err := b.Look(ctx); err != nil || !st.Running {
		return f // without a daemon, the look itself waited for the devices
	}
	return b.until(ctx, min(patience, b.Wait), f, b.checkDevices)
}

func (b *Backup) checkRole(ctx context.Context) checklist.Line {
	st, err := b.Look(ctx)
	if err != nil {
		return broken(err)
	}
	detail := fmt.Sprintf("%s, epoch %d", st.Role.Role, st.Role.Epoch)
	switch {
	case st.Role.Role == hwm.Active:
		f := checklist.Line{
			Result: checklist.Bad, Detail: detail + ": this machine signs",
			Hint: "bring up the machine without the right to sign",
		}
		if b.Record.UnderWay != nil {
			f.Hint = "an interrupted drill brought the right to sign here; give the right back with: highwater handover"
		}
		return f
	case st.Role.Role == hwm.Fenced:
		return checklist.Line{
			Result: checklist.Bad, Detail: detail + ": " + st.Role.Why,
			Hint: "find and stop the second signer of the keys; after that: highwater standby",
		}
	case st.Role.Mine && st.Role.Epoch > 0 && !b.Config.Shared():
		return checklist.Line{
			Result: checklist.Bad, Detail: detail + ": owner of the right to sign, and on standby",
			Hint: "to sign here: highwater activate; to be the backup: highwater handover",
		}
	}
	b.Record.End()
	return fine("%s", detail)
}

func (b *Backup) checkDaemon(ctx context.Context) checklist.Line {
	st, err := b.Look(ctx)
	if err != nil {
		return broken(err)
	}
	if !st.Running {
		return waiting("systemctl enable --now highwater; or, by hand: highwater serve", "no daemon serves")
	}
	return fine("serves at %s, version %s", b.signerAddress(), st.Version)
}

func (b *Backup) signerAddress() string {
	listen := b.Config.Server.Listen
	if strings.HasPrefix(listen, api.UnixPrefix) {
		return listen
	}
	if b.Config.Server.TLSCert != "" {
		return "https://" + listen + b.Config.Server.PathPrefix
	}
	return "http://" + listen + b.Config.Server.PathPrefix
}

// until repeats the check until the check passes, or until patience ends.
func (b *Backup) until(ctx context.Context, patience time.Duration, f checklist.Line,
	check func(context.Context) checklist.Line,
) checklist.Line {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for !f.Result.Passed() {
		select {
		case <-ctx.Done():
			return f
		case <-timer.C:
			return f
		case <-tick.C:
		}
		b.lookAgain()
		f = check(ctx)
	}
	return f
}
