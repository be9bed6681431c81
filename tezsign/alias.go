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

// HintText says what an alias looks like.
func (e *AliasError) HintText() string {
	return "an alias has 1 to 64 characters: letters, digits, _ and -; the gadget writes letters small"
}

var aliasForm = regexp.MustCompile(`^[a-z0-9_-]{1,64}$`)

// FoldAlias gives an alias as the gadget keeps it: without spaces around it, and in small letters. "Test" and "test" are one key. The
// error is an *AliasError.
func FoldAlias(alias string) (string, error) {
	folded := strings.ToLower(strings.TrimSpace(alias))
	if !aliasForm.MatchString(folded) {
		return "", &AliasError{alias}
	}
	return folded, nil
}

// FoldAliases folds all of them; one that appears twice after that stays once.
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
