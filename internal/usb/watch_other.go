//go:build !linux

package usb

import "context"

// Watch waits for the end of ctx: this system's events are not known here.
func Watch(ctx context.Context, _ func()) { <-ctx.Done() }
