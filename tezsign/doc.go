// Package tezsign drives a TezSign gadget: a small computer that holds tz4 keys behind USB, with a signing interface
// (0) and a management interface (1).
//
// Three rules of the device shape the package. A transfer that ends inside a frame's header wedges a channel until
// the gadget is power-cycled: every frame is written whole, and after a torn frame nothing is written. Unlocking an
// unlocked key can roll its watermark back while the key signs: an unlock names only keys that the gadget has just
// called LOCKED, while signing is held. The gadget's own watermark knows no chain and can be lost: the gadget's
// watermark is a second line of defence, compared with the host's at each connection.
package tezsign
