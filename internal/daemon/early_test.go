package daemon_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/daemon/daemontest"
	"highwater/internal/early"
	"highwater/internal/hooks"
	"highwater/operate"
)

// TestAnEarlyWarningIsSaidEverywhere: a commit that is slower than the limit stands in the status, and goes to the hook.
// The instance stays as ready as before.
func TestAnEarlyWarningIsSaidEverywhere(t *testing.T) {
	told := make(chan hooks.Event, 64)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var e hooks.Event
		if json.NewDecoder(r.Body).Decode(&e) == nil && e.Event == "warning" {
			told <- e
		}
	}))
	t.Cleanup(srv.Close)
	d := daemontest.Run(t, fmt.Sprintf("%s[monitor]\nslow_sync = \"1ns\"\n[hooks]\nwebhook = %q\n", daemontest.Minimal,
		srv.URL))
	require.Eventually(t, func() bool { return len(d.Signer.Keys()) > 0 }, daemontest.Patience, time.Millisecond)
	level := int32(1000)
	_, err := d.Admin.Activate(t.Context(), operate.ActivateRequest{Level: &level, Why: "test"}) // a commit
	require.NoError(t, err)
	e := daemontest.Within(t, told)
	require.Equal(t, string(early.SlowSync), e.Warning)
	require.NotEmpty(t, e.Hint)
	st, err := d.Admin.Status(t.Context())
	require.NoError(t, err)
	require.Len(t, st.Warnings, 1)
	require.Equal(t, early.SlowSync, st.Warnings[0].Name)
	require.True(t, st.Ready, "%v", st.NotReady)
}
