package register

import (
	"context"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"highwater/hwm"
	"highwater/internal/loghead"
)

// Heard is the head of the audit log of the last owner, as told by the record of a release.
type Heard struct {
	Head  loghead.Head
	From  hwm.InstanceID // zero: this process did not see who the last owner was
	Epoch uint64         // of the release
}

// lifeOf writes the head of an audit log as the life of a released record; empty without a head. A released record has
// no living owner, and every build accepts any short text there. A new field would be refused by an earlier build.
func lifeOf(h *loghead.Head) string {
	if h == nil || !h.Sound() {
		return ""
	}
	return fmt.Sprintf("%d:%s", h.Record, base64.RawURLEncoding.EncodeToString(h.Link[:]))
}

// AuditHead is the head of the last owner's audit log in a released record; nil: none. No signature depends on
// the head.
func (r Record) AuditHead() *loghead.Head {
	record, link, found := strings.Cut(r.Life, ":")
	if !found || !r.Released() {
		return nil
	}
	var h loghead.Head
	n, err := strconv.ParseUint(record, 10, 64)
	b, wrong := base64.RawURLEncoding.Strict().DecodeString(link)
	if err != nil || wrong != nil || len(b) != len(h.Link) {
		return nil
	}
	h.Record, h.Link = n, loghead.Hash(b)
	if lifeOf(&h) != r.Life {
		return nil
	}
	return &h
}

// ownHead asks for the head of the audit log of this instance, within the asker's bound.
func (r *Right) ownHead(ctx context.Context) *loghead.Head {
	if r.cfg.AuditHead == nil {
		return nil
	}
	return r.cfg.AuditHead(ctx)
}

// hear tells of the head in a release of another instance, once.
func (r *Right) hear(rec Record) {
	if !rec.Released() {
		r.lastOwner, r.lastEpoch = rec.Owner, rec.Epoch
		return
	}
	h := rec.AuditHead()
	if h == nil || r.cfg.Heard == nil || rec.Epoch == r.heard {
		return
	}
	r.heard = rec.Epoch
	heard := Heard{Head: *h, Epoch: rec.Epoch}
	if r.lastEpoch+1 == rec.Epoch {
		heard.From = r.lastOwner
	}
	if heard.From != r.cfg.Me {
		r.cfg.Heard(heard)
	}
}
