package doctor

import (
	"fmt"
	"time"

	"highwater/internal/checklist"
	"highwater/internal/config"
	"highwater/internal/words"
	"highwater/operate"
)

// The time of a Ledger's signature: tz2 and tz3 on a Nano S Plus, and tz1 on a Nano S.
const (
	fastSignature = 200 * time.Millisecond
	slowSignature = 900 * time.Millisecond
)

// checkQueues warns of Ledgers with more keys than a Ledger signs with in time: one signature at a time, and each level
// asks every key.
func checkQueues(cfg *config.Config, st operate.Status) (out []checklist.Line) {
	keys, budget := map[string]int{}, time.Duration(cfg.Server.Budget)
	for _, k := range st.Keys {
		keys[k.Device]++
	}
	for _, d := range cfg.Devices {
		n := keys[d.Name]
		if d.Kind != config.KindLedger || d.Transport == config.TransportSim || n < 2 ||
			time.Duration(n)*slowSignature <= budget {
			continue
		}
		fast, slow := time.Duration(n)*fastSignature, time.Duration(n)*slowSignature
		text := fmt.Sprintf("%s share a Ledger, and a Ledger signs in turn (0.2 s to 0.9 s each): the last key waits "+
			"%.1f s to %.1f s, and the budget of a request is %s",
			words.Count(n, "key"), fast.Seconds(), slow.Seconds(), budget)
		f := checklist.New(checklist.Queue, checklist.Warning, text, "spread the keys over several Ledgers")
		if fast > budget {
			f.Detail += ": requests will fail at every level"
		}
		out = append(out, f.Named("queue of "+d.Name))
	}
	return out
}
