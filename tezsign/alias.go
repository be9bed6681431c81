package tezsign

import (
	"fmt"
	"regexp"
	"strings"
)

// AliasError is an alias that no gadget takes. Nothing was sent.
type AliasError struct{ Alias string }

func (e *AliasError) Error() string {
	return fmt.Sprintf("%q is no alias of a key", printable(e.Alias))
}

// HintText describes a valid alias.
func (e *AliasError) HintText() string {
	return "an alias has 1 to 64 characters: letters, digits, _ and -; the gadget writes letters small"
}

var aliasForm = regexp.MustCompile(`^[a-z0-9_-]{1,64}$`)

// FoldAlias returns an alias as the gadget keeps the alias: without surrounding spaces, and in small letters. "Test"
// and "test" name one key. The error is an *AliasError.
func FoldAlias(alias string) (string, error) {
	folded := strings.ToLower(strings.TrimSpace(alias))
	if !aliasForm.MatchString(folded) {
		return "", &AliasError{alias}
	}
	return folded, nil
}

// FoldAliases folds every alias, and drops repetitions.
func FoldAliases(aliases []string) ([]string, error) {
	out := make([]string, 0, len(aliases))
	seen := map[string]bool{}
	for _, a := range aliases {
		folded, err := FoldAlias(a)
		if err != nil {
			return nil, err
		}
		if !seen[folded] {
			out = append(out, folded)
		}
		seen[folded] = true
	}
	return out, nil
}
