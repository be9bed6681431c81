package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"highwater/internal/hints"
	"highwater/internal/terminal"
	"highwater/internal/words"
	"highwater/operate"
)

// OneKey wants exactly one argument, a key.
func OneKey(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return hints.Add(terminal.Usagef("%s wants a key: an address or an alias", c.CommandPath()),
			"see: highwater keys list")
	}
	return nil
}

// FindKey finds a key by its address or alias. For a Ledger's key, the shortened form of the tables works too.
func FindKey(keys []operate.KeyRow, name string) (operate.KeyRow, error) {
	var found []operate.KeyRow
	for _, k := range keys {
		if k.PKH.String() == name {
			return k, nil
		}
		if name != "" && (k.Alias == name || words.ShortAlias(k.Alias) == name) {
			found = append(found, k)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return operate.KeyRow{}, hints.Add(fmt.Errorf("no key %q is known", name), "see: highwater keys list")
	}
	return operate.KeyRow{}, hints.Add(
		fmt.Errorf("%d keys have the alias %q", len(found), name), "use the address: highwater keys list")
}
