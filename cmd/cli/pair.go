package cli

import (
	"fmt"
	"time"

	"highwater/failover"
	"highwater/internal/terminal"
	"highwater/internal/words"
)

// ShowPair shows the pair's part of the status.
func (a *App) ShowPair(v *failover.View) {
	if v == nil || v.Peer == nil {
		return
	}
	p := v.Peer
	a.Say("may sign        %s", v.MaySign)
	if v.Waiting != "" {
		a.Say("waiting         %s", a.Paint(terminal.Yellow, v.Waiting))
	}
	a.Say("peer            %s at %s", p.Key, p.Address)
	switch {
	case p.Reachable:
		a.Say("                %s: %s", a.Paint(terminal.Green, "answers"), peerWords(p))
	case p.HeardAt != nil:
		a.Say("                %s: %s", a.Paint(terminal.Red, "not in touch"), p.Error)
		a.Say("                heard last at %s: %s", words.Time(*p.HeardAt), peerWords(p))
	case p.Error != "":
		a.Say("                %s: %s", a.Paint(terminal.Red, "not in touch"), p.Error)
	default:
		a.Say("                not asked yet")
	}
	if d := time.Duration(p.SkewMS) * time.Millisecond; d.Abs() > 5*time.Second {
		a.Say("                %s: the clocks differ by %s", a.Paint(terminal.Yellow, "warning"), d.Abs())
	}
	a.ShowNext(v.Next)
}

// ShowNext shows the next steps, a line each.
func (a *App) ShowNext(next []string) {
	for i, text := range next {
		label := "next"
		if i > 0 {
			label = ""
		}
		a.Say("%-15s %s", label, text)
	}
	a.Say("")
}

func peerWords(p *failover.PeerView) string {
	text := fmt.Sprintf("%s, epoch %d", p.Role, p.Epoch)
	if p.Signing {
		text += ", " + SignsWords(p.Share)
	}
	if p.Broken != "" {
		text += ", and the disk fails: " + p.Broken
	}
	if p.Following {
		text += "; the watermarks are followed"
	}
	return text
}

// SignsWords says that an instance signs, with its share of the levels.
func SignsWords(s failover.Share) string {
	switch {
	case s.SignsUpTo != nil:
		return fmt.Sprintf("signs up to level %d", *s.SignsUpTo)
	case s.SignsFrom != nil:
		return fmt.Sprintf("signs from level %d on", *s.SignsFrom)
	}
	return "it signs"
}
