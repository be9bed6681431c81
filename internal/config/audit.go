package config

import (
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"highwater/internal/audit"
)

// defaultAuditSize holds a year of a baker with two keys; the log costs no signature any time.
const defaultAuditSize = 2 << 30

// maxAuditSize bounds the setting.
const maxAuditSize = 1 << 40

// Audit is the log of all decisions.
type Audit struct {
	MaxSize *Size  `toml:"max_size"`
	Dir     string `toml:"dir"`
}

// Bytes is the bound of the log; zero: there is none.
func (a Audit) Bytes() int64 {
	if a.MaxSize == nil {
		return defaultAuditSize
	}
	return int64(*a.MaxSize)
}

func (a Audit) check(f *faultList) {
	if n := a.Bytes(); n != 0 && (n < audit.MinSize || n > maxAuditSize) {
		f.add("audit.max_size: %d bytes; the size lies between 16MiB and 1TiB, or is 0: no audit log", n)
	}
}

// AuditDir is the directory of the audit log.
func (c *Config) AuditDir() string {
	if c.Audit.Dir != "" {
		return c.Audit.Dir
	}
	return filepath.Join(c.StateDir, "audit")
}

// Size is a number of bytes, as a text like "512MiB" in the file.
type Size int64

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(b []byte) error {
	number, factor := string(b), 1.0
	for i, unit := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if rest, found := strings.CutSuffix(number, unit); found {
			number, factor = rest, math.Pow(1024, float64(i+1))
		}
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || v < 0 || v*factor > math.MaxInt64/2 || v != v {
		return fmt.Errorf("%.40q is no size like \"512MiB\" or \"2GiB\"", b)
	}
	*s = Size(v * factor)
	return nil
}
