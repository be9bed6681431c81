//go:build !linux

package usb

import "context"

// Watch waits for the end of ctx: the package knows no events of this system.
func Watch(ctx context.Context, _ func()) { <-ctx.Done() }
