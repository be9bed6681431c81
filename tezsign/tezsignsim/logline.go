package tezsignsim

import (
	"bytes"
	"context"
	"log/slog"
	"time"
)

// formatLine writes a log line as slog's text handler does.
func formatLine(at time.Time, level slog.Level, msg string, args ...any) string {
	var b bytes.Buffer
	h := slog.NewTextHandler(&b, nil)
	r := slog.NewRecord(at.UTC(), level, msg, 0)
	r.Add(args...)
	if err := h.Handle(context.Background(), r); err != nil {
		return err.Error() // a buffer takes everything
	}
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}
