// Package actor names the user behind an act: the user of this process, or of the process at the other end of a unix
// socket.
package actor

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
)

// Actor is a user, as the kernel tells.
type Actor struct {
	UID   uint32
	Login uint32 // the user of the login session, behind sudo too; none: not known
}

// none is the kernel's number for a process outside of any login session.
const none = ^uint32(0)

// Me is the user of this process.
func Me() Actor {
	return Actor{uint32(os.Getuid()), loginOf(os.Getpid())} //nolint:gosec // not negative where there are users
}

// String is the user with the name, where the name is known: "alice (uid 1000)", "highwater (uid 998) by alice (uid
// 1000)" for a login of another user.
func (a Actor) String() string {
	if a.Login == none || a.Login == a.UID {
		return named(a.UID)
	}
	return named(a.UID) + " by " + named(a.Login)
}

func named(uid uint32) string {
	u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return fmt.Sprintf("uid %d", uid)
	}
	return fmt.Sprintf("%s (uid %d)", u.Username, uid)
}

// loginOf reads the login user of a process, which sudo keeps.
func loginOf(pid int) uint32 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/loginuid", pid))
	if err != nil {
		return none
	}
	uid, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 32)
	if err != nil {
		return none
	}
	return uint32(uid)
}

type (
	actorKey  struct{}
	reasonKey struct{}
)

// With keeps the user of the acts under ctx.
func With(ctx context.Context, a Actor) context.Context { return context.WithValue(ctx, actorKey{}, a) }

// From is the user of the acts under ctx: of With, else of this process.
func From(ctx context.Context) Actor {
	if a, ok := ctx.Value(actorKey{}).(Actor); ok {
		return a
	}
	return Me()
}

// WithReason keeps the operator's reason for the acts under ctx.
func WithReason(ctx context.Context, why string) context.Context {
	return context.WithValue(ctx, reasonKey{}, why)
}

// Reason is the reason of WithReason; empty: none was given.
func Reason(ctx context.Context) string {
	why, _ := ctx.Value(reasonKey{}).(string)
	return why
}
