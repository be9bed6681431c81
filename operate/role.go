package operate

import (
	"context"
	"encoding/hex"
	"time"

	"highwater/hwm"
)

func (l *Local) role() Role {
	r := l.Store.Role()
	return Role{
		Role: r.Role, Epoch: r.Epoch, Owner: hex.EncodeToString(r.Owner[:]), Mine: r.Owner == l.Store.Instance(),
		Since: r.Since, Why: r.Why,
	}
}

// raiseAfterActivate bounds the time for raising the devices' own marks before an activation is answered.
const raiseAfterActivate = 5 * time.Second

// Activate begins signing at this instance. Before Activate returns, each device able to rise without a person has its
// own marks raised to the marks of the instance.
func (l *Local) Activate(ctx context.Context, r ActivateRequest) (Role, error) {
	if r.Level != nil && *r.Level < 0 {
		return Role{}, badRequest("the negative level %d", *r.Level)
	}
	if r.Level != nil && l.Store.Role().Role == hwm.Active {
		return Role{}, &Refusal{Reason: AlreadyActive, Text: "the instance is active already: no mark was raised"}
	}
	if r.Level != nil {
		if err := l.checkFar(ctx, RaiseRequest{Far: r.Far}, l.Signer.Floors(*r.Level, hwm.SourceSet)); err != nil {
			return Role{}, err
		}
	}
	if r.DryRun {
		return l.role(), l.checkActivate(ctx, r.Level)
	}
	reg, err := l.register()
	if err != nil {
		return Role{}, err
	}
	if reg != nil {
		err = l.activateShared(ctx, reg, r.Level)
		return l.role(), err
	}
	activate := func(context.Context, *int32, string) (hwm.RoleRecord, error) {
		return l.Signer.Activate(r.Level, r.Why)
	}
	if l.Node != nil {
		activate = l.Node.Activate
	}
	if _, err := activate(ctx, r.Level, r.Why); err != nil {
		return Role{}, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), raiseAfterActivate)
	defer cancel()
	l.Signer.RaiseDevices(ctx) // the marks may be new; a device not raised now is raised at its next connection
	return l.role(), nil
}

// checkActivate finds the missing parts of an activation, before an operator is asked for a word.
func (l *Local) checkActivate(ctx context.Context, level *int32) error {
	if l.Node != nil {
		if err := l.Node.CheckActivate(ctx); err != nil {
			return err
		}
	}
	return l.Signer.CheckActivate(level)
}

// Standby ends signing.
func (l *Local) Standby(ctx context.Context, r StandbyRequest) (Role, error) {
	reg, err := l.register()
	if err != nil {
		return Role{}, err
	}
	if reg != nil {
		err = reg.Stand(ctx, r.Why)
		return l.role(), err
	}
	stand := func(ctx context.Context, why string) (hwm.RoleRecord, error) {
		return l.Signer.Stand(ctx, hwm.Standby, why)
	}
	if l.Node != nil {
		stand = l.Node.Stand
	}
	if _, err := stand(ctx, r.Why); err != nil {
		return Role{}, err
	}
	return l.role(), nil
}
