/* Two instances of one signer, a link that loses, duplicates and reorders, crashes at every step, a baker on each side that always asks, a
 * guard that may fence at any moment, and an operator: he activates, hands over, live or by level, also with a certificate on a stick, takes
 * over, and restores an old copy of the state.
 *
 * Durable (survives a crash): role, epoch, owner of that epoch as this side knows it, the newest epoch heard of the other side, mark, ceiling.
 * Volatile: open (may this process sign yet?), the nonces of the questions that it waits for.
 *
 * Claim: no level is signed twice, by whomever. docs/model.md says what this means, and what it does not; `make model` runs it in the
 * shapes that scripts/model.sh names, and each breakage, which must be found. Shapes are made of
 *
 *   -DLIVE            handovers over the link
 *   -DTAKEOVER        takeovers
 *   -DBY_LEVEL        cut-overs by level: with LIVE over the link, with STICK by certificates on sticks
 *   -DACTIVATE        a pair that was never active (-DBEGUN: that was), standing by, and activations
 *   -DGUARD           a guard that fences, whatever it saw
 *   -DRESTORE         an old copy of one side's state, put back
 *   -DLIE             a takeover from a primary that lives, and signs
 *   -DBROKEN          a disk that fails at any write, on either side: the write is on it, or not, and the process stays for a while
 *
 * The breakages, and the shape that finds each, are in scripts/model.sh; each is an #ifdef below, where the rule is.
 */
#ifndef LEVELS
#define LEVELS 2        /* levels 1..LEVELS */
#endif
#ifndef OPS
#define OPS 2           /* acts of an operator */
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef DUPS
#define DUPS 0          /* messages that arrive once more */
#endif
#ifndef CHAN
#define CHAN 1          /* messages under way to each side */
#endif
#ifndef EXPIRY
#define EXPIRY 1        /* a certificate on a stick is good until the chain is so many levels past the cut (100 in the program) */
#endif
#ifndef LESSER
#define LESSER 0        /* the side whose key is the lesser one; side 0 signs in the beginning */
#endif
#ifdef LIE
#define LIES 1
#else
#define LIES 0
#endif

mtype = { standby, signing, fenced };
mtype = { release, cert, ask, status };

#define NOBODY 2
#define NO_CUT LEVELS   /* a ceiling that is none */

/* flags of a message: what its sender was */
#define SIGNING 1       /* it lets requests in */
#define FENCED 2
#define ACTIVATING 4    /* its operator activates it just now */
#define COPIED 8        /* its mark is one that it followed */

typedef Disk {
  mtype role;
  byte epoch;           /* the newest known */
  byte owner;           /* of that epoch */
  byte seen;            /* the newest epoch that the other side was heard with */
  byte mark;            /* highest level signed, or floor */
  bool copied;          /* the mark is the other side's, which told it */
  byte ceiling          /* nothing above */
}
typedef Life {
  bool up;
  bool open;            /* requests are let in; only ever in role signing */
  byte want;            /* nonce of the release that this process waits for; 0: none */
  byte asked;           /* nonce of the status that this process waits for */
#ifdef ACTIVATE
  byte act;             /* nonce of the status that an operator's activation waits for */
  bool told;            /* the other side is told of that activation */
#endif
#ifdef NO_FENCE_FIRST
  bool later;
#endif
#ifdef CEILING_LATE
  byte cutLater;        /* the ceiling that is not on disk yet */
#endif
#ifdef BROKEN
  bool sick;            /* its disk failed: it signs and writes nothing more in its life, and answers a status from what it knew before */
#endif
#ifdef LIE
  bool knows            /* it has heard that the other side signed in its own epoch */
#endif
}
Disk d[2];
#ifdef BROKEN
Disk known[2];          /* what a process whose disk failed answers from */
byte budget_broken = 1;
bool mute;              /* the write of this step fails: nothing of it leaves */
#define MUTE mute
#define SICK(n) l[n].sick
#define SAYS(field) (l[1 - me].sick -> known[1 - me].field : d[1 - me].field)
#else
#define MUTE false
#define SICK(n) false
#define SAYS(field) d[1 - me].field
#endif
Life l[2];
byte level = 1;
bool sealed[LEVELS + 1];
byte budget_crash = CRASHES, budget_dup = DUPS, budget_ops = OPS, budget_lie = LIES;
#ifdef GUARD
byte budget_guard = 1;
#endif
#ifdef STICK
/* What is on the stick for each side, to be used at any time and any number of times; level 0: nothing. One is made for each at most. */
byte stickEpoch[2], stickLevel[2], stickMark[2];
#endif
#ifdef RESTORE
Disk copy;
byte copyOf = NOBODY;
bool copies = true;
#endif

byte nonce = 0;           /* fresh for every question */
/* kind · epoch · owner · flags · mark, or (release) newest epoch heard · newest epoch heard, or the cut-over level · nonce. Kept sorted, and received in any order. */
chan c[2] = [CHAN] of { mtype, byte, byte, byte, byte, byte, byte };   /* c[i]: to side i */

/* what one atomic step works with; nothing of it outlives the step */
hidden byte e, o, f, m, s, x, e2, o2, f2, m2, s2, x2, i, j;
hidden mtype k, k2;

#define SEND(to, k, e, o, f, m, s, x) if :: !MUTE && nfull(c[to]) -> c[to]!!k,e,o,f,m,s,x :: true fi    /* or it is lost */
#ifdef ACTIVATE
#define ACTIVE_NOW (l[i].told -> ACTIVATING : 0)
#define FORGET_ACT l[i].act = 0; l[i].told = false
#else
#define ACTIVE_NOW 0
#define FORGET_ACT skip
#endif
#define FLAGS ((l[i].open -> SIGNING : 0) + (d[i].role == fenced -> FENCED : 0) + ACTIVE_NOW + (d[i].copied -> COPIED : 0))
#define ASK(x) SEND(j, ask, d[i].epoch, d[i].owner, FLAGS, 0, 0, x)
#define REPORT(x) SEND(j, status, d[i].epoch, d[i].owner, FLAGS, d[i].mark, d[i].seen, x)
#define RAISE(to) if :: (to) > d[i].mark -> d[i].mark = (to); d[i].copied = true :: else -> skip fi
#if defined(NO_FLOOR) || defined(CUT_BELOW_MARK)
#define TAKE_FLOOR skip
#else
#define TAKE_FLOOR RAISE(m)
#endif
#ifdef STALE_OK
#define FRESH(nonce) true
#else
#define FRESH(nonce) (x == nonce)
#endif
#define CLOSE l[i].open = false
#ifdef NO_EXPIRY
#define TOO_LATE(l) false
#else
#define TOO_LATE(l) (level > (l) + EXPIRY)
#endif
#ifdef STICK_AGAIN
#define NEWER(epoch_) true
#else
#define NEWER(epoch_) ((epoch_) > d[me].epoch)
#endif

inline become(role_, epoch_, owner_) {  /* one durable write */
  d[i].role = role_; d[i].epoch = epoch_; d[i].owner = owner_;
  l[i].open = (role_ == signing && owner_ == i || role_ == signing && l[i].open)
}

inline sign() {
  /* device and disk: mark durable first, then the signature leaves: one step here, since a crash between them only loses the signature */
#ifdef LIE
  assert(!sealed[level] || !l[i].knows);
#else
  assert(!sealed[level]);
#endif
  d[i].mark = level; d[i].copied = false;
  sealed[level] = true
}

inline yield() {
  if :: d[i].role == fenced -> become(fenced, e, o) :: else -> become(standby, e, o) fi     /* a fence stays one */
}

/* The other side took over, and gave the next epoch back by a certificate that has not come: it is still good. */
inline superseded() {
  e = e - 1; o = j;
  yield()
}

inline heard() {        /* what any message says of the right to sign: rules 1, 7 and 8 */
#ifndef NO_SEEN
  if :: e > d[i].seen -> d[i].seen = e :: else -> skip fi;
#endif
#ifdef LIE
  if :: o == j && e == d[i].epoch && d[i].owner == i && l[i].open && (f & (SIGNING | FENCED)) -> l[i].knows = true :: else -> skip fi;
#endif
  if
  :: o == i && e > d[i].epoch && d[i].owner == i && l[i].open && (f & SIGNING) -> superseded()
  :: o != j && !(o == i && e > d[i].epoch && d[i].owner == i && l[i].open && (f & SIGNING)) -> skip
                                                                /* what is given comes with a certificate, never by hearsay */
  :: o == j && e > d[i].epoch -> yield()                        /* newer */
  :: o == j && e < d[i].epoch -> skip
  :: o == j && e == d[i].epoch ->
       if
       :: d[i].owner != i || d[i].role == fenced -> skip
#ifndef BOTH_SIGN
       :: d[i].owner == i && d[i].role != fenced && l[i].open && (f & (SIGNING | FENCED)) -> become(fenced, e, i)     /* a false statement */
#endif
#ifndef TWO_CLAIMS
       :: d[i].owner == i && d[i].role != fenced && !l[i].open && ((f & SIGNING) || i == LESSER) -> yield()
#endif
       :: else -> skip                                          /* the other side yields when it hears this one */
       fi
  fi
}

inline give(cut) {      /* rule 2: durable before the answer */
  if :: d[i].seen > d[i].epoch -> d[i].epoch = d[i].seen :: else -> skip fi;    /* above all that either side knows */
#ifdef NO_FENCE_FIRST
  SEND(j, cert, d[i].epoch + 1, j, 0, d[i].mark, 0, x); l[i].later = true       /* the fence is written some time after */
#else
  if
  :: cut == 0 -> become(standby, d[i].epoch + 1, j)
  :: else ->            /* by level: it signs on, up to the ceiling */
#ifdef CEILING_LATE
       l[i].cutLater = cut;
#else
#ifndef NO_CEILING
       if :: cut < d[i].ceiling -> d[i].ceiling = cut :: else -> skip fi;
#endif
#endif
       if :: l[i].open -> become(signing, d[i].epoch + 1, j) :: else -> become(standby, d[i].epoch + 1, j) fi
  fi
#endif
}

/* Is this level above everything that was signed here? */
#ifdef CUT_BELOW_MARK   /* and the certificate has no marks */
#define GOOD_CUT(l) true
#else
#define GOOD_CUT(l) ((l) > d[i].mark)
#endif

#ifdef NO_SEEN
#define OLD_ASKER false
#else
#ifdef FORGOTTEN
#define OLD_ASKER (e < d[i].seen)
#else
#define OLD_ASKER (e < d[i].seen || m > d[i].epoch)
#endif
#endif

inline onRelease() {
  heard();
  if
  :: d[i].role == fenced || d[i].owner == NOBODY || OLD_ASKER -> skip
  :: else ->
       if
       :: d[i].owner == j ->                                    /* rule 3: asked again, the same answer */
            if
            :: d[i].ceiling == NO_CUT -> become(standby, d[i].epoch, j); s = 0
            :: else -> s = d[i].ceiling
            fi;
            SEND(j, cert, d[i].epoch, j, 0, d[i].mark, s, x)
       :: d[i].owner == i && (d[i].role == standby || l[i].open) && (s == 0 || GOOD_CUT(s)) ->
            give(s);
#ifndef NO_FENCE_FIRST
            SEND(j, cert, d[i].epoch, j, 0, d[i].mark, s, x)
#endif
       :: else -> skip                                          /* restarted, and has not asked yet; or no such level */
       fi
  fi
}

inline accept() {       /* rules 5 and 11: floors and role in one durable write, and the only way to lift a ceiling but for a takeover */
  TAKE_FLOOR;
#ifndef NO_CUT_FLOOR
  RAISE(s);
#endif
  d[i].ceiling = NO_CUT;
  if :: e < d[i].epoch -> e = d[i].epoch :: else -> skip fi;
  become(signing, e, i)
}

#ifdef STALE_OK
#define ASKED_FOR true
#else
#define ASKED_FOR (l[i].want != 0 && x == l[i].want)
#endif

inline onCert() {
  if
  :: d[i].role != fenced && e > d[i].epoch && ASKED_FOR -> accept(); l[i].want = 0
  :: else -> skip
  fi
}

#ifdef NO_COPY_CHECK
#define OLD_COPY false
#else
#define OLD_COPY (OLD_BY_SEEN || ((f & COPIED) && m > d[i].mark))
#endif
#ifdef NO_SEEN
#define OLD_BY_SEEN false
#else
#define OLD_BY_SEEN (s > d[i].epoch)
#endif
#ifdef TWO_CLAIMS
#define AGREED true
#else
#define AGREED (e != d[i].epoch || o == i)
#endif

inline onStatus() {
  heard();
  if
  :: d[i].role == signing && d[i].owner == i && !l[i].open && FRESH(l[i].asked) && !(OLD_BY_SEEN) && e > d[i].epoch -> superseded()
  :: d[i].role == signing && d[i].owner == i && !l[i].open && FRESH(l[i].asked) && e <= d[i].epoch && !OLD_COPY && AGREED ->
       TAKE_FLOOR;
       l[i].open = true; l[i].asked = 0
#ifdef LIFTED
  :: d[i].role == signing && d[i].owner == j -> d[i].ceiling = NO_CUT
#endif
#ifdef ACTIVATE
  :: l[i].act != 0 && x == l[i].act ->
       if
       :: d[i].role == standby && (d[i].owner == NOBODY || d[i].owner == i) && !(f & (SIGNING | ACTIVATING)) && e <= d[i].epoch && s <= d[i].epoch &&
          !(e == d[i].epoch && e > 0 && o != i) && (d[i].epoch == 0 || !((f & COPIED) && m > d[i].mark)) ->
            TAKE_FLOOR; become(signing, d[i].epoch + 1, i)
       :: else -> skip
       fi;
       FORGET_ACT
#endif
  :: else -> skip
  fi
}

inline sickAnswer() {   /* one that was the active one answers nothing; nobody takes anything in */
#ifdef BROKEN
  if
  :: k == ask && known[i].role != signing ->
       SEND(j, status, known[i].epoch, known[i].owner, (known[i].role == fenced -> FENCED : 0) + (known[i].copied -> COPIED : 0), known[i].mark, known[i].seen, x)
  :: else -> skip
  fi
#else
  skip
#endif
}

inline receive() {      /* any of the messages under way; it may arrive once more */
  if
  :: c[i]?k,e,o,f,m,s,x
  :: len(c[i]) > 1 -> c[i]?k2,e2,o2,f2,m2,s2,x2; c[i]?k,e,o,f,m,s,x; c[i]!!k2,e2,o2,f2,m2,s2,x2
  fi;
#if DUPS > 0
  if :: budget_dup > 0 -> budget_dup--; c[i]!!k,e,o,f,m,s,x :: true fi;
#endif
  if
  :: SICK(i) -> sickAnswer()
  :: !SICK(i) && k == release -> onRelease()
  :: !SICK(i) && k == cert -> onCert()
  :: !SICK(i) && k == ask -> heard(); REPORT(x)
  :: !SICK(i) && k == status -> onStatus()
  fi
}

/* the operator's statement: the other side cannot sign, and will not by itself */
#ifdef UNFENCED
#define CANNOT_SIGN true
#else
#define CANNOT_SIGN (!l[1 - me].up || SAYS(role) == fenced || ANSWERS_HARMLESS)
#endif
/* What the checklist calls harmless of a side that answers: it has heard this one, and agrees whose the right is. */
#ifdef EVIDENCE_GIVEN
#define ANSWERS_HARMLESS (!l[1 - me].open && d[1 - me].owner == me && d[1 - me].epoch <= d[me].epoch)
#else
#define ANSWERS_HARMLESS (!l[1 - me].open && SAYS(owner) == me && SAYS(epoch) == d[me].epoch && d[me].owner == me && \
    SAYS(seen) <= d[me].epoch && !(SAYS(copied) && SAYS(mark) > d[me].mark))
#endif

inline takeOver() {     /* rules 8 and 9 */
  l[i].asked = 0; l[i].want = 0; FORGET_ACT;
  e = (d[i].epoch > d[i].seen -> d[i].epoch : d[i].seen) + 2;   /* above anything that a release could have made meanwhile */
#ifdef BY_LEVEL
#ifdef STICK
#ifndef TAKEOVER_LIFTS
  /* it wants the certificate destroyed, and only then lifts the ceiling; one that is spent may lie about */
  if :: d[i].ceiling < NO_CUT && level <= d[i].ceiling + EXPIRY -> stickLevel[j] = 0 :: else -> skip fi;
#endif
#endif
  d[i].ceiling = NO_CUT;
#endif
#ifndef NO_HEAD_FLOOR
  if :: level > d[i].mark -> d[i].mark = level; d[i].copied = false :: else -> skip fi;  /* floor: head, and the margin that is not modelled */
#endif
  become(signing, e, i)
}

#ifdef RESTORE
/* An old copy is found out when the other side was told of something newer, or owns a newer epoch; and nothing else is lost but what
 * was signed in an epoch that it knows. Else nobody can tell. */
#ifdef COPY_UNTOLD
#define TOLD_MORE true
#else
#define TOLD_MORE ((d[1 - me].epoch > d[me].epoch || (d[1 - me].epoch == d[me].epoch && d[1 - me].owner == d[me].owner)) && \
    (d[1 - me].seen > copy.epoch || (d[1 - me].epoch > copy.epoch && d[1 - me].owner == 1 - me) || (d[1 - me].copied && d[1 - me].mark > copy.mark)))
#endif
#endif
#if defined(RESTORE) || defined(BROKEN)
#define DISK(a, b) a.role = b.role; a.epoch = b.epoch; a.owner = b.owner; a.seen = b.seen; a.mark = b.mark; a.copied = b.copied; a.ceiling = b.ceiling
#endif

/* In another owner's epoch nothing is signed without a ceiling. What is here twice, each of which holds alone, is taken out twice. */
#if defined(NO_CEILING) || defined(CEILING_LATE) || defined(LIFTED)
#define CAPPED true
#else
#define CAPPED (d[me].owner == me || d[me].ceiling < NO_CUT)
#endif
#define ME(who) i = who; j = 1 - who

#ifdef BROKEN
#define CAN_FAIL (l[me].up && !l[me].sick && budget_broken > 0)
/* The write of a step fails, and is on the disk all the same, as far as the next life is concerned. (One that is not on the disk, and of
 * which nothing left, is a step that was not made: see the plain failure below.) */
#define FAILS budget_broken--; DISK(known[i], d[i]); mute = true
#define FAILED mute = false; STAYS
#ifdef SICK_SIGNS
#define STAYS l[i].sick = true; l[i].want = 0; l[i].asked = 0; FORGET_ACT
#else
#define STAYS l[i].sick = true; CLOSE; l[i].want = 0; l[i].asked = 0; FORGET_ACT
#endif
#endif

proctype Instance(byte me) {
end:
  do
  /* ---- the baker asks; in another owner's epoch only up to a ceiling */
  :: atomic { l[me].open && !SICK(me) && level > d[me].mark && level <= d[me].ceiling && CAPPED -> ME(me); sign() }

#ifdef SICK_SIGNS
  /* ---- its disk failed, and it signs on from memory: nothing of that is on the disk */
  :: atomic { l[me].sick && l[me].open && level > known[me].mark -> assert(!sealed[level]); known[me].mark = level; sealed[level] = true }
#endif
#ifdef BROKEN
  /* ---- the disk fails: before a write, in the middle of taking in a message, with the mark of a signature, in the middle of a takeover */
  :: atomic { CAN_FAIL -> ME(me); budget_broken--; DISK(known[i], d[i]); STAYS }
  :: atomic { CAN_FAIL && nempty(c[me]) -> ME(me);
#ifdef SICK_GIVES
       budget_broken--; DISK(known[i], d[i]); receive(); DISK(d[i], known[i]); STAYS }   /* what the failed write was to make true has left */
#else
       FAILS; receive(); FAILED }
#endif
  :: atomic { CAN_FAIL && l[me].open && level > d[me].mark && level <= d[me].ceiling && CAPPED -> ME(me); FAILS; d[i].mark = level; d[i].copied = false; FAILED }
#ifdef TAKEOVER
  :: atomic { CAN_FAIL && !(l[me].open && d[me].owner == me) && budget_ops > 0 && CANNOT_SIGN -> ME(me); budget_ops--; FAILS; takeOver(); FAILED }
#endif
  /* ---- such a process ends, sooner or later */
  :: atomic { l[me].sick -> ME(me);
       l[i].sick = false; l[i].up = false; CLOSE;
       known[i].role = 0; known[i].epoch = 0; known[i].owner = 0; known[i].seen = 0; known[i].mark = 0; known[i].copied = 0; known[i].ceiling = 0 }
#endif

  /* ---- a message arrives */
  :: atomic { l[me].up && nempty(c[me]) -> ME(me); receive() }

#ifdef LIVE
  /* ---- the operator starts a handover from the other side to this one, and it asks again while it waits */
  :: atomic { l[me].up && !SICK(me) && d[me].role != fenced && d[me].owner == 1 - me && l[me].want == 0 && budget_ops > 0 -> ME(me);
       budget_ops--; nonce++; l[i].want = nonce;
       s = 0;
#ifdef BY_LEVEL
       if :: s = 0 :: s = 1 :: s = 2 fi;
#endif
       SEND(j, release, d[i].epoch, d[i].owner, FLAGS, d[i].seen, s, nonce) }
  :: atomic { l[me].up && l[me].want != 0 && nfull(c[1 - me]) -> ME(me); SEND(j, release, d[i].epoch, d[i].owner, FLAGS, d[i].seen, 0, l[i].want) }
#endif

  /* ---- a crash: volatile state is gone */
  :: atomic { l[me].up && !SICK(me) && budget_crash > 0 -> ME(me);
       budget_crash--; l[i].up = false; l[i].open = false; l[i].want = 0; l[i].asked = 0; FORGET_ACT
#ifdef NO_FENCE_FIRST
       ; l[i].later = false
#endif
#ifdef CEILING_LATE
       ; l[i].cutLater = 0
#endif
     }
  /* ---- a start: an owner must ask before it signs; who only went up to a ceiling stands by */
  :: atomic { !l[me].up -> ME(me);
       l[i].up = true;
       if :: d[i].role == signing && d[i].owner == j -> become(standby, d[i].epoch, j) :: else -> skip fi;
#ifdef RESUME_ALONE
       l[i].open = (d[i].role == signing);
#endif
       nonce++; l[i].asked = nonce;
       ASK(nonce) }
  :: atomic { l[me].up && !SICK(me) && d[me].role == signing && !l[me].open && l[me].asked != 0 && nfull(c[1 - me]) -> ME(me); ASK(l[i].asked) }
#if defined(LIE) || defined(RESTORE) || defined(LIFTED)
  /* ---- each asks the other from time to time, whatever its role */
  :: atomic { l[me].up && (d[me].role != signing || l[me].open) && len(c[1 - me]) == 0 -> ME(me); ASK(0) }
#endif

#ifdef TAKEOVER
  :: atomic { l[me].up && !SICK(me) && !(l[me].open && d[me].owner == me) && budget_ops > 0 && CANNOT_SIGN -> ME(me); budget_ops--; takeOver() }
#ifdef LIE
  :: atomic { l[me].up && !(l[me].open && d[me].owner == me) && budget_lie > 0 && !(CANNOT_SIGN) -> ME(me); budget_lie--; takeOver() }
#endif
#endif

#ifdef ACTIVATE
  /* ---- the operator activates it: it is known to activate before it asks */
#ifdef ACTIVATE_UNASKED
  :: atomic { l[me].up && d[me].role == standby && d[me].owner != 1 - me && budget_ops > 0 -> ME(me); budget_ops--; become(signing, d[i].epoch + 1, i) }
#endif
  :: atomic { l[me].up && d[me].role == standby && d[me].owner != 1 - me && l[me].act == 0 && budget_ops > 0 -> ME(me);
       budget_ops--; nonce++; l[i].act = nonce;
#ifndef TOLD_LATE
       l[i].told = true;
#endif
       ASK(nonce) }
#ifdef ONE_FLAG
  :: atomic { l[me].told -> l[me].told = false }                /* one of two activations at this side ends, and the other goes on */
#endif
  :: atomic { l[me].act != 0 -> ME(me); FORGET_ACT }            /* no answer */
  :: atomic { l[me].up && d[me].role == signing && l[me].open && budget_ops > 0 -> ME(me); budget_ops--; become(standby, d[i].epoch, d[i].owner) }
#endif

#ifdef GUARD
  /* ---- the guard fences, and the operator ends the fence; a takeover does, too */
  :: atomic { l[me].up && d[me].role != fenced && budget_guard > 0 -> ME(me); budget_guard--; become(fenced, d[i].epoch, d[i].owner) }
  :: atomic { l[me].up && d[me].role == fenced && budget_ops > 0 -> ME(me); budget_ops--; become(standby, d[i].epoch, d[i].owner) }
#endif

#ifdef RESTORE
  /* ---- whoever does not sign follows the other's marks as they are written */
  :: atomic { l[me].up && l[1 - me].up && d[me].role != signing -> ME(me);
       e = d[j].epoch; o = d[j].owner; f = (l[j].open -> SIGNING : 0) + (d[j].role == fenced -> FENCED : 0); m = d[j].mark;
       heard(); RAISE(m) }
  /* ---- a copy of the state is made, and put back later, once */
  :: atomic { copies -> ME(me); copies = false; copyOf = i; DISK(copy, d[i]) }
  :: atomic { copyOf == me && !l[me].up && TOLD_MORE -> ME(me);
       DISK(d[i], copy); copyOf = NOBODY; copy.role = 0; copy.epoch = 0; copy.owner = 0; copy.seen = 0; copy.mark = 0; copy.copied = 0; copy.ceiling = 0 }
#endif

#ifdef NO_FENCE_FIRST
  :: atomic { l[me].up && l[me].later -> ME(me); l[i].later = false; become(standby, d[i].epoch + 1, j) }
#endif
#ifdef CANCEL
  :: atomic { l[me].up && d[me].owner == 1 - me && d[me].role == standby && budget_ops > 0 -> ME(me); budget_ops--; become(signing, d[i].epoch + 1, i) }
#endif
#ifdef CEILING_LATE
  :: atomic { l[me].up && l[me].cutLater != 0 -> d[me].ceiling = l[me].cutLater; l[me].cutLater = 0 }
#endif

#ifdef STICK
  /* ---- the operator writes a certificate for the other side: from the next level but `cut` on it may sign, here nothing above. One
   *      durable write, then the file. */
  :: atomic { l[me].up && d[me].owner == me && (d[me].role == standby || l[me].open) && stickLevel[1 - me] == 0 && budget_ops > 0 -> ME(me);
       budget_ops--;
       select(s : 1 .. LEVELS - 1);
       if
       :: GOOD_CUT(s) -> give(s); stickEpoch[j] = d[i].epoch; stickLevel[j] = s; stickMark[j] = d[i].mark
       :: else -> skip
       fi }
  /* ---- the operator brings the stick: now, late, again. No nonce guards it: the epoch, its age and the floor do. */
  :: atomic { l[me].up && stickLevel[me] != 0 && d[me].role != fenced && NEWER(stickEpoch[me]) && !TOO_LATE(stickLevel[me]) -> ME(me); e = stickEpoch[i]; s = stickLevel[i]; m = stickMark[i]; accept() }
#endif
  od
}

proctype Chain() {
end:
  do :: level < LEVELS -> level++ od
}

init {
  atomic {
#ifdef ACTIVATE
    d[0].role = standby; d[1].role = standby;
#ifdef BEGUN
    d[0].epoch = 1; d[1].epoch = 1; d[0].seen = 1; d[1].seen = 1;
#else
    d[0].owner = NOBODY; d[1].owner = NOBODY;
#endif
#else
    d[0].role = signing; d[1].role = standby; d[0].epoch = 1; d[1].epoch = 1; l[0].open = true; d[0].seen = 1; d[1].seen = 1;
#endif
    d[0].ceiling = NO_CUT; d[1].ceiling = NO_CUT; l[0].up = true; l[1].up = true;
    run Instance(0); run Instance(1); run Chain()
  }
}
