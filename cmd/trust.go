package cmd

import (
	"fmt"

	"github.com/spf13/cobra"

	"highwater/hwm"
	"highwater/internal/markfiles"
	"highwater/internal/terminal"
)

// trustFlag is --key: whose signature on a bundle counts.
type trustFlag struct {
	text string
	markfiles.Trust
}

func (t *trustFlag) flag(c *cobra.Command) {
	c.Flags().StringVar(&t.text, "key", "", "take a bundle that the instance with this `KEY` signed (default: the other instance of the pair)")
}

func (t *trustFlag) parse() error {
	if t.text == "" {
		return nil
	}
	t.Key = new(hwm.InstanceID)
	if err := t.Key.UnmarshalText([]byte(t.text)); err != nil {
		return terminal.Misuse(fmt.Errorf("--key: %w", err))
	}
	return nil
}
