package daemon_test

import (
	"context"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/failover"
	"highwater/hwm"
	"highwater/internal/audit"
	"highwater/internal/daemon"
	"highwater/internal/daemon/daemontest"
	"highwater/internal/loghead"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
	"highwater/operate"
)

var headInJournal = regexp.MustCompile(`audit head (\S+)$`)

// headOf is the head in the newest entry of the journal.
func headOf(t *testing.T, d *daemon.Daemon, action string) loghead.Head {
	t.Helper()
	all := d.Store.Journal()
	require.NotEmpty(t, all)
	last := all[len(all)-1]
	require.Equal(t, action, last.Action)
	found := headInJournal.FindStringSubmatch(last.What)
	require.NotNil(t, found, last.What)
	h, err := loghead.Parse(found[1])
	require.NoError(t, err)
	return h
}

// TestATakeoverNotesTheHead: the journal has the head of the own audit log before a takeover, done or refused, and the
// log has the record.
func TestATakeoverNotesTheHead(t *testing.T) {
	d := daemontest.Run(t, daemontest.Minimal+"[server]\nlisten = \"127.0.0.1:0\"\n")
	admin, ctx := d.Admin.Admin(), context.Background()
	_, _ = admin.Takeover(ctx, failover.TakeoverRequest{Check: true})
	require.Empty(t, d.Store.Journal(), "a look is no act")
	var head loghead.Head
	require.Eventually(t, func() bool { // the log begins beside the daemon
		_, _ = admin.Takeover(ctx, failover.TakeoverRequest{CannotSign: true})
		all := d.Store.Journal()
		return headInJournal.MatchString(all[len(all)-1].What)
	}, daemontest.Patience, 10*time.Millisecond)
	head = headOf(t, d, "takeover")
	report, err := audit.Verify(filepath.Join(d.Config.StateDir, "audit"), head)
	require.NoError(t, err)
	require.Equal(t, []loghead.Head{head}, report.Found)
	require.Empty(t, report.Faults)
}

// TestAnImportKeepsTheHeadOfABundle: in the journal, and in the own audit log. A bad head is refused.
func TestAnImportKeepsTheHeadOfABundle(t *testing.T) {
	d := daemontest.Run(t, daemontest.Minimal+"[server]\nlisten = \"127.0.0.1:0\"\n")
	admin, ctx := d.Admin.Admin(), context.Background()
	key, err := softkey.New(tezos.Ed25519, make([]byte, softkey.MinSeed))
	require.NoError(t, err)
	rows := []hwm.ImportRow{{PKH: key.PublicKey().Hash(), Kind: tezos.Block, Level: 7}}
	of := operate.BundleHead{Instance: hwm.InstanceID{7}, Head: loghead.Head{Record: 48211, Link: loghead.Hash{9}}}
	for _, bad := range []operate.RaiseRequest{
		{Rows: rows, Bundles: []operate.BundleHead{{Instance: of.Instance}}},
		{Rows: rows, Bundles: []operate.BundleHead{of, of}},
	} {
		_, err = admin.Raise(ctx, bad)
		require.Equal(t, operate.BadRequest, operate.ReasonOf(err))
	}
	_, err = admin.Raise(ctx, operate.RaiseRequest{Rows: rows, Bundles: []operate.BundleHead{of}})
	require.NoError(t, err)
	require.Equal(t, of.Head, headOf(t, d, "import"))
	require.Eventually(t, func() bool {
		var heard []audit.Event
		err := audit.Each(filepath.Join(d.Config.StateDir, "audit"), func(r audit.Row) bool {
			if r.Event != nil && r.Event.What == audit.Heard {
				heard = append(heard, *r.Event)
			}
			return true
		})
		return err == nil && len(heard) == 1 && *heard[0].Head == of.Head && heard[0].Peer == of.Instance.String()
	}, daemontest.Patience, 10*time.Millisecond)
}
