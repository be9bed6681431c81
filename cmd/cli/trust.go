package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"highwater/hwm"
	"highwater/internal/markfiles"
	"highwater/internal/terminal"
)

// TrustFlag is --key: the instance key that must have signed a bundle.
type TrustFlag struct {
	text string
	markfiles.Trust
}

// Flag gives a command the flag.
func (t *TrustFlag) Flag(c *cobra.Command) {
	c.Flags().StringVar(&t.text, "key", "", "take a bundle signed by the instance with this `KEY` (default: the peer)")
}

// Parse reads the instance key, if given.
func (t *TrustFlag) Parse() error {
	if t.text == "" {
		return nil
	}
	t.Key = new(hwm.InstanceID)
	if err := t.Key.UnmarshalText([]byte(t.text)); err != nil {
		return terminal.Misuse(fmt.Errorf("--key: %w", err))
	}
	return nil
}
