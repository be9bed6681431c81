package page

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"highwater/api"
	"highwater/operate"
)

// browse starts a browser for the test.
func browse(t *testing.T) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("chromium"), chromedp.NoSandbox, chromedp.Flag("force-color-profile", "srgb"))
	ctx, end := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(end)
	ctx, end = chromedp.NewContext(ctx)
	t.Cleanup(end)
	ctx, end = context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(end)
	require.NoError(t, chromedp.Do(ctx))
	return ctx
}

// tab opens a tab of the browser.
func tab(browser context.Context, t *testing.T) context.Context {
	t.Helper()
	ctx, end := chromedp.NewContext(browser)
	t.Cleanup(end)
	return ctx
}

// serve answers as the monitor of a daemon does; stop ends the listener.
func serve(t *testing.T, address string, m operate.Monitor) (at string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l, err := api.Listen(ctx, address, 0)
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- api.Serve(ctx, l, api.NewMonitor(m, api.NewMetrics()), slog.New(slog.DiscardHandler)) }()
	stop = sync.OnceFunc(func() { cancel(); require.NoError(t, <-done) })
	t.Cleanup(stop)
	return l.Addr().String(), stop
}

// look is a kind of screen.
type look struct {
	width  int64
	scheme string
}

var looks = []look{{1280, "light"}, {1280, "dark"}, {390, "light"}, {390, "dark"}}

func (l look) String() string { return fmt.Sprintf("%d-%s", l.width, l.scheme) }

// open shows the page at an address as this screen does.
func (l look) open(ctx context.Context, t *testing.T, at string) {
	t.Helper()
	mobile := func(p *emulation.SetDeviceMetricsOverrideParams, _ *emulation.SetTouchEmulationEnabledParams) {
		p.Mobile = l.width < 600
	}
	require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(l.width, 900, mobile)))
	_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: l.scheme}},
	})
	require.NoError(t, err)
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate("http://"+at+"/"), chromedp.WaitVisible("#part-keys")))
}

// eval gives the value of an expression on the page.
func eval[T any](ctx context.Context, t *testing.T, expression string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	require.NoError(t, err)
	return v
}

// until waits for an expression to be true.
func until(ctx context.Context, t *testing.T, expression string) {
	t.Helper()
	require.Eventually(t, func() bool {
		v, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression))
		return err == nil && v
	}, 40*time.Second, 20*time.Millisecond, expression)
}

// keep writes a picture of the whole page, if HIGHWATER_PICTURES names a directory.
func keep(ctx context.Context, t *testing.T, name string) {
	t.Helper()
	dir := os.Getenv("HIGHWATER_PICTURES")
	if dir == "" {
		return
	}
	beyond := true
	got, err := chromedp.Call(ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{CaptureBeyondViewport: &beyond})
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, name+".png"), got.Data, 0o600))
}
