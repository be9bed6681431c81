package failover

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A judge that cannot find anything proves nothing. Each of these takes one rule out of the code; the same histories
// must then end in a double signature. What is here twice, in two places that each hold alone, is taken out twice.
// `make test-failover` runs them; they compile the package anew each time.
var mutations = []struct {
	rule  string
	edits []edit
}{
	{"2: the fence is durable before the answer", []edit{{"release.go", `	if _, err := n.signer.Become(ctx, next, nil, ceilings...); err != nil { // rule 2: durable before the answer
		return nil, err
	}
	return n.certify(ctx, q, q.At)`, `	marks, err := n.marks.Durable()
	if err != nil {
		return nil, err
	}
	_ = ceilings
	return wire.Certificate{Protocol: wire.Protocol, Chain: n.signer.Chain(), From: n.Me(), To: next.Owner, Epoch: next.Epoch, Level: q.At,
		Marks: marks, Nonce: q.Nonce, When: n.now()}.Sign(n.store.Identity())`}}},
	{
		"5: floors travel with the right",
		[]edit{{"accept.go", `floors := n.marks.Floors(c.Marks)`, `floors := n.marks.Floors(nil)`}},
	},
	{"5: floors travel with every answer", []edit{{"rules.go", `return n.signer.Resume(n.marks.Floors(marks)) // rule 5`, `return n.signer.Resume(n.marks.Floors(marks[:0]))`}}},
	{"6: certificates are fresh", []edit{{"accept.go", `} else if _, fresh := n.questions.Spend(c.Nonce, wire.Release); !fresh {`, `} else if _, fresh := n.questions.Spend(c.Nonce, wire.Release); !fresh && false {`}}},
	{"6: answers are fresh", []edit{{"rules.go", `if !fresh || a.Status == nil {`, `if fresh && false || a.Status == nil {`}}},
	{"7: a restarted owner asks", []edit{{"../signer/signer.go", ` && !cfg.Hold {`, ` {`}}},
	{"7: a newer epoch fences", []edit{{"rules.go", `	case h.Epoch > mine.Epoch: // rule 7: newer: somebody else may sign
		return n.yield(`, `	case h.Epoch > mine.Epoch && n.signer.Active():
		return nil
	case h.Epoch > mine.Epoch:
		return n.yield(`}}},
	{takenOver, []edit{{"rules.go", `	if a.Epoch > mine.Epoch { // owned`, `	if a.Epoch > mine.Epoch && false { // owned`}}},
	{"8: two claims to one epoch", []edit{
		{"rules.go", `if a.Epoch == mine.Epoch && a.Owner != n.Me() {`, `if a.Epoch == mine.Epoch && a.Owner != n.Me() && false {`},
		{"rules.go", `case h.Signing || n.Me().Less(h.From):`, `case false:`},
		{"rules.go", `	case n.signer.Active() && (h.Signing || h.Role == hwm.Fenced):`, `	case false:`},
	}},
	{"10: a floor at the cut-over", []edit{{"accept.go", `	if c.Level != nil {
		floors =`, `	if c.Level != nil && false {
		floors =`}}},
	{"10: a ceiling at the cut-over", []edit{{"release.go", `ceilings = n.marks.Ceilings(*q.At)`, `ceilings = n.marks.Ceilings(*q.At + 5)`}}},
	{"10: a certificate in a file is spent", []edit{
		{"accept.go", `case c.Epoch <= mine.Epoch:`, `case c.Epoch <= mine.Epoch && c.Nonce != "":`},
		{"accept.go", `Epoch: c.Epoch, Owner: n.Me(), Why: why}`, `Epoch: max(c.Epoch, mine.Epoch+1), Owner: n.Me(), Why: why}`},
	}},
	{"11: the ceiling is lifted by what gives the right back", []edit{
		{"rules.go", `	if mine.Role != hwm.Active || mine.Owner != n.Me() || n.signer.Active() {
		return n.endPastCeilings(ctx, mine, a)`, `	if mine.Role == hwm.Active && mine.Owner != n.Me() {
		_, err := n.signer.Become(ctx, hwm.RoleRecord{Role: mine.Role, Epoch: mine.Epoch, Owner: mine.Owner}, nil,
			n.marks.Lifts()...)
		return err
	}
	if mine.Role != hwm.Active || mine.Owner != n.Me() || n.signer.Active() {
		return n.endPastCeilings(ctx, mine, a)`},
		{"../signer/limits.go", `if s.capped.Load() && state.Ceiling == nil {`, `if state.Ceiling == nil && false {`},
	}},
	{ofTwo, []edit{
		{"answer.go", `if r := n.sameKey(); r != nil {`, `if r := n.sameKey(); r != nil && verb == "" {`},
		{"answer.go", `if err = n.refuseBeside(q); err != nil {`, `if err = n.refuseBeside(q); err != nil && verb == "" {`},
	}},
}

// ofTwo is seen in histories with a copy only, and takenOver in one history of many thousands: each has a test that
// leads to it. Every other rule must be missed in a random history of a pair.
const (
	ofTwo     = "12: of two processes with one key neither is confirmed"
	takenOver = "7: an owner that was taken over waits for its certificate"
)

// edit is one change of one file.
type edit struct{ file, old, new string }

// broken gives the files with the edits, by path. Each edit has one place.
func broken(t *testing.T, edits []edit) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, e := range edits {
		path, err := filepath.Abs(e.file)
		require.NoError(t, err)
		if texts[path] == "" {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			texts[path] = string(text)
		}
		require.Equal(t, 1, strings.Count(texts[path], e.old), "the rule is not where it was: %s", e.old)
		texts[path] = strings.Replace(texts[path], e.old, e.new, 1)
	}
	return texts
}

// TestEachRuleIsWhereItWas: TestEachRuleIsNeeded, which takes a minute, finds the lines that it takes out.
func TestEachRuleIsWhereItWas(t *testing.T) {
	for _, m := range mutations {
		t.Run(m.rule, func(t *testing.T) { broken(t, m.edits) })
	}
}
