//go:build mutation

package failover

import (
	"cmp"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// rarelyMissed are rules that one history in some thousands misses: their search begins at one that is known to. When
// that one is changed by a change of the code, look for another.
var rarelyMissed = map[string]string{
	"5: floors travel with every answer": "3471", "6: certificates are fresh": "1382", "7: a newer epoch fences": "2116",
}

var searched = map[string]string{
	ofTwo:     "TestSchedulesBesideACopy",
	takenOver: "TestATakenOverOwnerWaitsForItsCertificate",
}

// seed is the name of a history, in what a failed search prints.
var seed = regexp.MustCompile(`seed \d+`)

func TestEachRuleIsNeeded(t *testing.T) {
	for _, m := range mutations {
		t.Run(m.rule, func(t *testing.T) {
			histories := cmp.Or(searched[m.rule], "TestSchedulesSignNothingTwice")
			dir, replace := t.TempDir(), map[string]string{}
			for path, text := range broken(t, m.edits) {
				replace[path] = filepath.Join(dir, filepath.Base(path))
				require.NoError(t, os.WriteFile(replace[path], []byte(text), 0o600))
			}
			overlay := filepath.Join(dir, "overlay.json")
			list, err := json.Marshal(map[string]any{"Replace": replace})
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(overlay, list, 0o600))
			c := exec.CommandContext(t.Context(), "go", "test", "-overlay", overlay, "-failfast", "-run", histories, ".")
			c.Env = append(os.Environ(), "HIGHWATER_SCHEDULES=3000", "HIGHWATER_FIRST="+rarelyMissed[m.rule])
			out, err := c.CombinedOutput()
			require.Error(t, err, "without the rule the judge found nothing")
			require.Contains(t, string(out), ": two ", "%s", out)
			t.Logf("found in the history of %s", seed.Find(out))
		})
	}
}
