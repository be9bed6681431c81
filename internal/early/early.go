// Package early watches the numbers of a running signer for troubles that grow, and warns until each trouble is over.
// The package only reads: no request waits for the package, and no warning keeps the instance from signing.
package early

import (
	"cmp"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Name is a warning in one word.
type Name string

// The warnings.
const (
	SlowSignatures  Name = "slow_signatures"  // the median of a device's last signatures
	SlowSync        Name = "slow_sync"        // a commit to the watermark file
	TimeUsedUp      Name = "time_used_up"     // the time of requests ended before their signatures
	Reconnects      Name = "reconnects"       // a device that comes and goes
	DeviceHeld      Name = "device_held"      // a different program has the device open
	CertificateEnds Name = "certificate_ends" // within two weeks
	CertificateNow  Name = "certificate_now"  // within two days; or its dates are wrong now
	MarksAhead      Name = "marks_ahead"      // marks far above the head of the node
	NodeSilent      Name = "node_silent"      // no new head of the node
	NotFollowing    Name = "not_following"    // a standby without the marks of the signing instance
	RegisterSilent  Name = "register_silent"
	AuditUnwritten  Name = "audit_unwritten"
	BakerSilent     Name = "baker_silent"       // rights in a row without a request
	RightsMissed    Name = "rights_missed"      // the chain shows nothing of rights
	KeyUnheld       Name = "key_without_device" // the key has rights
)

// Names lists all warnings.
var Names = []Name{
	SlowSignatures, SlowSync, TimeUsedUp, Reconnects, DeviceHeld, CertificateEnds, CertificateNow, MarksAhead, NodeSilent,
	NotFollowing, RegisterSilent, AuditUnwritten, BakerSilent, RightsMissed, KeyUnheld,
}

// Warning is a trouble that stands now. A warning ends by itself, after its trouble.
type Warning struct {
	Name  Name      `json:"warning"`
	Of    string    `json:"of,omitempty"` // the device, key, certificate …; empty: the instance
	Since time.Time `json:"since"`
	Text  string    `json:"text"`
	Hint  string    `json:"hint"` // what to do
}

// Limits are the configured bounds. A zero turns its warning off.
type Limits struct {
	SlowSignature time.Duration // median of a device's last 50 signatures
	SlowSync      time.Duration // one commit
	TimeUsedUp    int           // levels within half an hour
	Reconnects    int           // within an hour
	MarksAhead    int32         // levels above the head
	SilentRights  int           // attestations of a key in a row without a request
	MissedRights  int           // of a key within an hour; one block is enough
}

// Defaults are the limits of a configuration that says nothing. A daily reset of a device, a disk that stalls for a
// second, a restart of the node and of this program stay below.
var Defaults = Limits{
	SlowSignature: 2 * time.Second, SlowSync: 2 * time.Second, TimeUsedUp: 4, Reconnects: 3, MarksAhead: 20,
	SilentRights: 10, MissedRights: 10,
}

// lookEvery is the interval between looks at the numbers.
const lookEvery = 5 * time.Second

// Watch holds the warnings. Signed, UsedUp and Committed never wait; Run looks.
type Watch struct {
	limits Limits
	log    *slog.Logger
	queue  chan event

	// The fields of Run's goroutine.
	from    Sources
	tell    func(w Warning, over bool)
	began   time.Time // of Run
	devices map[string]*signatures
	syncs   []timed[time.Duration] // the slow ones
	usedUp  []timed[int32]         // levels
	health  map[string]*connection
	held    map[string][]string // the programs with a device open, for each device that is away
	heldAt  time.Time           // of that look
	rights  map[string]*record  // by key
	settled int32               // the first level whose rights were not read yet
	cases   map[subject]*trouble

	mu       sync.Mutex
	standing []Warning
}

// New makes a watch without any warning.
func New(limits Limits, log *slog.Logger) *Watch {
	return &Watch{
		limits: limits, log: log, queue: make(chan event, queued), devices: map[string]*signatures{},
		health: map[string]*connection{}, cases: map[subject]*trouble{},
		held: map[string][]string{}, rights: map[string]*record{},
	}
}

// Standing lists the warnings that stand, in the order of Names; none for a nil watch.
func (w *Watch) Standing() []Warning {
	if w == nil {
		return []Warning{}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Warning{}, w.standing...)
}

// show makes the standing warnings readable.
func (w *Watch) show() {
	var out []Warning
	for _, c := range w.cases {
		if c.stands {
			out = append(out, c.Warning)
		}
	}
	slices.SortFunc(out, func(a, b Warning) int {
		return cmp.Or(cmp.Compare(slices.Index(Names, a.Name), slices.Index(Names, b.Name)), cmp.Compare(a.Of, b.Of))
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.standing = out
}
