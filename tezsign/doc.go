// Package tezsign drives a TezSign gadget: a small computer that holds tz4 keys behind USB, with a signing interface (0) and a
// management interface (1).
//
// Three rules of the device shape everything here. A transfer that ends inside a frame's header wedges a channel until the gadget
// is power-cycled: frames are written whole, or the gadget is not written to again. Unlocking a key that is unlocked can roll its
// watermark back while it signs: an unlock names only keys that the gadget has just called LOCKED, while signing is held. The
// gadget's own watermark knows no chain and can be lost: it is a second line of defence, and compared with the host's at each
// connection.
package tezsign
