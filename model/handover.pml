/* Two instances of one signer, a link that loses, duplicates and reorders, crashes at every step, a baker on each side that always asks,
 * an operator who hands over, live or by level with a certificate on a stick, and who takes over.
 *
 * Durable (survives a crash): role, epoch, owner of that epoch as this side knows it, mark, ceiling.
 * Volatile: resumed (may this process sign yet?), the nonces of the questions that it waits for.
 *
 * Claim: no level is ever signed by both. docs/model.md says what this means, and what it does not; `make model` runs it in the
 * three shapes below, and each breakage, which must be found:
 *
 *   (none)                                      handovers and takeovers
 *   -DNO_HANDOVER -DDUPS=0 -DCRASHES=3          takeovers alone, and more crashes
 *   -DBY_LEVEL -DLEVELS=3 -DDUPS=0 ...          cut-overs by level, certificates on sticks, with all of the above (see run.sh)
 *
 *   -DNO_FENCE_FIRST  answers before the fence is durable
 *   -DRESUME_ALONE    signs after a restart without asking
 *   -DNO_FLOOR        takes the right without the marks
 *   -DSTALE_OK        accepts answers to questions of an earlier life
 *   -DUNFENCED        takes over from a primary that lives
 *   -DCANCEL          takes a released epoch back without asking its new owner
 *   -DNO_OWNER_CHECK  resumes on an equal epoch whoever owns it
 * by level:
 *   -DNO_CEILING      writes a certificate for a stick and sets no ceiling
 *   -DCEILING_LATE    writes the certificate before the ceiling is durable
 *   -DCUT_BELOW_MARK  cuts over below what it signed already
 *   -DNO_CUT_FLOOR    accepts a certificate without its floor
 *   -DSTICK_AGAIN     accepts a certificate although it knows a newer epoch
 *   -DNO_EXPIRY       accepts a certificate however old
 *   -DRESUME_LIFTS    lifts its ceiling when it resumes after a restart
 *   -DTAKEOVER_LIFTS  lifts its ceiling at a takeover while the certificate is still good
 */
#ifndef LEVELS
#define LEVELS 2        /* levels 1..LEVELS */
#endif
#ifndef OPS
#define OPS 2           /* acts of an operator: handovers asked for, takeovers */
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef DUPS
#define DUPS 1          /* duplicated certificates */
#endif
#ifndef CHAN
#define CHAN 2          /* messages under way to each side */
#endif
#ifndef EXPIRY
#define EXPIRY 1        /* a certificate on a stick is good until the chain is so many levels past the cut (100 in the program) */
#endif

mtype = { standby, signing };
mtype = { release, cert, ask, status };

typedef Node {
  mtype role;           /* durable */
  byte epoch;           /* durable: the newest epoch known */
  byte owner;           /* durable: who owns it */
  byte mark;            /* durable: highest level signed, or floor */
  byte ceiling;         /* durable: nothing above */
  bool up;
  bool resumed;         /* volatile: has asked the peer since it started, or was activated in this life */
  byte want;            /* volatile: nonce of the release that this process waits for; 0 none */
#ifdef NO_FENCE_FIRST
  bool later;
#endif
#ifdef CEILING_LATE
  byte cutLater;        /* volatile: the ceiling that is not on disk yet */
#endif
  byte asked;           /* volatile: nonce of the status that this process waits for; 0 none */
}
Node n[2];
byte level = 1;
byte signedBy[LEVELS + 2];   /* bit i: node i signed that level */
byte budget_crash = CRASHES, budget_dup = DUPS, budget_ops = OPS;
#ifdef BY_LEVEL
/* What is on the stick for node i, to be used at any time and any number of times; level 0: nothing. One is made for each side at most. */
byte stickEpoch[2], stickLevel[2];
#endif

/* messages: kind, epoch, owner, mark, nonce of the request that they answer; a slot channel each way, receivers may take any, senders may be lost */
byte nonce = 0;           /* fresh for every request */
chan c[2] = [CHAN] of { mtype, byte, byte, byte, byte };   /* c[i]: to node i */

#if defined(NO_FENCE_FIRST)
#define LOSE_FENCE ; n[i].later = false
#elif defined(CEILING_LATE)
#define LOSE_FENCE ; n[i].cutLater = 0
#else
#define LOSE_FENCE
#endif
#ifdef STALE_OK
#define FRESH true
#else
#define FRESH (x == n[i].asked)
#endif
#ifdef NO_FLOOR
#define TAKE_FLOOR skip
#else
#define TAKE_FLOOR if :: m > n[i].mark -> n[i].mark = m :: else -> skip fi
#endif
#ifdef NO_OWNER_CHECK
#define OWNER_AGREED true
#else
#define OWNER_AGREED (o == i)
#endif
#ifdef UNFENCED
#define OTHER_IS_DOWN true
#else
#define OTHER_IS_DOWN (!n[j].up)
#endif
#define NO_CUT LEVELS   /* a ceiling that is none */
#define SPENT(l) (level > (l) + EXPIRY)
#ifdef NO_EXPIRY
#define TOO_OLD(l) false
#else
#define TOO_OLD(l) SPENT(l)
#endif
#ifdef STICK_AGAIN
#define NEWER_KNOWN(e) false
#else
#define NEWER_KNOWN(e) (n[i].epoch >= (e))
#endif
#ifdef RESUME_LIFTS
#define RESUME n[i].resumed = true; n[i].asked = 0; n[i].ceiling = NO_CUT
#else
#define RESUME n[i].resumed = true; n[i].asked = 0
#endif
#define SEND(to, k, e, o, m, x) if :: nfull(c[to]) -> c[to]!k,e,o,m,x :: skip fi    /* or it is lost */

inline sign(i) {
  /* device and disk: mark durable first, then the signature leaves: one step here, since a crash between them only loses the signature */
  n[i].mark = level;
  signedBy[level] = signedBy[level] | (1 << i);
  assert(signedBy[level] != 3)
}

proctype Instance(byte i) {
  byte j = 1 - i;
  byte e, o, m, x;
  do
  /* ---- the baker asks */
  :: atomic { n[i].up && n[i].resumed && n[i].role == signing && level > n[i].mark && level <= n[i].ceiling && level <= LEVELS -> sign(i) }

#ifndef NO_HANDOVER
  /* ---- the operator starts a handover from the other side to this one */
  :: atomic { n[i].up && n[i].role == standby && budget_ops > 0 -> budget_ops--; nonce++; n[i].want = nonce; SEND(j, release, n[i].epoch, i, 0, nonce) }
  :: atomic { n[i].up && n[i].want != 0 && nfull(c[j]) -> SEND(j, release, n[i].epoch, i, 0, n[i].want) }   /* and again, while it waits */
#endif

  /* ---- a release request arrives: this side owns the epoch (used or not) */
  :: atomic { n[i].up && c[i]??[release,_,_,_,_] -> c[i]??release,e,o,m,x;
       if
       :: n[i].owner == i ->
            /* drained: no request is in flight in this step */
#ifdef NO_FENCE_FIRST
            SEND(j, cert, n[i].epoch + 1, j, n[i].mark, x); n[i].later = true       /* the fence is written some time after */
#else
            n[i].role = standby; n[i].owner = j; n[i].epoch = n[i].epoch + 1;   /* one durable write */
            SEND(j, cert, n[i].epoch, j, n[i].mark, x)
#endif
       :: n[i].owner == j -> SEND(j, cert, n[i].epoch, j, n[i].mark, x)             /* asked again: the same answer */
       fi }
#ifdef NO_FENCE_FIRST
  :: atomic { n[i].up && n[i].later -> n[i].later = false; n[i].role = standby; n[i].owner = j; n[i].epoch++ }
#endif

  /* ---- a certificate arrives */
  :: atomic { n[i].up && c[i]??[cert,_,_,_,_] -> c[i]??cert,e,o,m,x;
       if
#ifdef STALE_OK
       :: o == i && e > n[i].epoch ->
#else
       :: o == i && e > n[i].epoch && x == n[i].want ->
#endif
            TAKE_FLOOR;
            n[i].role = signing; n[i].owner = i; if :: e > n[i].epoch -> n[i].epoch = e :: else -> skip fi;      /* one durable write */
            n[i].ceiling = NO_CUT;      /* the right comes back, and with it all levels: the only way to lift a ceiling */
            n[i].resumed = true; n[i].want = 0
       :: else -> skip
       fi;
       if :: budget_dup > 0 -> budget_dup = budget_dup - 1; if :: nfull(c[i]) -> c[i]!cert,e,o,m,x :: full(c[i]) -> skip fi :: skip fi }

  /* ---- a crash: volatile state is gone; an active one must ask before it signs */
  :: atomic { n[i].up && budget_crash > 0 -> budget_crash--; n[i].up = false; n[i].resumed = false; n[i].want = 0; n[i].asked = 0 LOSE_FENCE }
  :: atomic { !n[i].up -> n[i].up = true;
#ifdef RESUME_ALONE
       n[i].resumed = true;
#endif
       nonce++; n[i].asked = nonce;
       SEND(j, ask, n[i].epoch, n[i].owner, 0, n[i].asked) }
  :: atomic { n[i].up && !n[i].resumed && n[i].asked != 0 && nfull(c[j]) -> SEND(j, ask, n[i].epoch, n[i].owner, 0, n[i].asked) }

  /* ---- status, asked or heard: the newer epoch wins */
  :: atomic { n[i].up && c[i]??[ask,_,_,_,_] -> c[i]??ask,e,o,m,x;
       if :: e > n[i].epoch && o == j -> n[i].role = standby; n[i].epoch = e; n[i].owner = j :: else -> skip fi;
       SEND(j, status, n[i].epoch, n[i].owner, n[i].mark, x) }
  :: atomic { n[i].up && c[i]??[status,_,_,_,_] -> c[i]??status,e,o,m,x;
       if
       :: e > n[i].epoch && o == j -> n[i].role = standby; n[i].epoch = e; n[i].owner = j
#ifndef NO_OWNER_CHECK
       :: e == n[i].epoch && o == j && n[i].owner == i && !n[i].resumed -> n[i].role = standby; n[i].owner = j       /* two takeovers met: the one that has not resumed yields */
#endif
       :: e == n[i].epoch && OWNER_AGREED && n[i].owner == i && !n[i].resumed && FRESH -> TAKE_FLOOR; RESUME
       :: e < n[i].epoch && n[i].owner == i && !n[i].resumed && FRESH -> TAKE_FLOOR; RESUME
       :: else -> skip
       fi }

  /* ---- takeover: the operator states that the other one is down (here: it is), and the epoch moves by hand */
  :: atomic { n[i].up && (n[i].role == standby || !n[i].resumed) && budget_ops > 0 && OTHER_IS_DOWN -> budget_ops--; n[i].asked = 0; n[i].want = 0;
       n[i].epoch = n[i].epoch + 2;           /* above anything that a release could have made meanwhile */
       n[i].owner = i; n[i].role = signing; n[i].resumed = true;
#ifdef BY_LEVEL
#ifdef TAKEOVER_LIFTS
       n[i].ceiling = NO_CUT;
#else
       if :: n[i].ceiling < NO_CUT && SPENT(n[i].ceiling) -> n[i].ceiling = NO_CUT :: else -> skip fi;   /* nobody can use the stick any more */
#endif
#endif
       if :: level > n[i].mark -> n[i].mark = level :: else -> skip fi }   /* floor: head, and the margin that is not modelled */

#ifdef CANCEL
  :: atomic { n[i].up && n[i].owner == j && n[i].role == standby && budget_ops > 0 -> budget_ops--; n[i].owner = i; n[i].role = signing; n[i].resumed = true; n[i].epoch++ }
#endif

#ifdef BY_LEVEL
  /* ---- the operator writes a certificate for the other side: from the next level but `cut` on it may sign, here nothing above. One
   *      durable write, then the file. The owner goes on signing up to the cut. */
  :: atomic { n[i].up && n[i].resumed && n[i].role == signing && n[i].owner == i && n[i].ceiling == NO_CUT && stickLevel[j] == 0 && budget_ops > 0
       -> budget_ops--;
       select(m : 1 .. LEVELS - 1);
       if
#ifdef CUT_BELOW_MARK
       :: true ->
#else
       :: m >= n[i].mark ->
#endif
#if !defined(NO_CEILING) && !defined(CEILING_LATE)
            n[i].ceiling = m;
#endif
            stickEpoch[j] = n[i].epoch + 1; stickLevel[j] = m;
#ifdef CEILING_LATE
            n[i].cutLater = m
#endif
       :: else -> skip
       fi; m = 0 }
#ifdef CEILING_LATE
  :: atomic { n[i].up && n[i].cutLater != 0 -> n[i].ceiling = n[i].cutLater; n[i].cutLater = 0 }
#endif

  /* ---- the operator brings the stick: now, late, again. No nonce guards it: the epoch, its age and the floor do. */
  :: atomic { n[i].up && stickLevel[i] != 0 && !NEWER_KNOWN(stickEpoch[i]) && !TOO_OLD(stickLevel[i]) ->
#ifndef NO_CUT_FLOOR
       if :: stickLevel[i] > n[i].mark -> n[i].mark = stickLevel[i] :: else -> skip fi;
#endif
       n[i].ceiling = NO_CUT;
       n[i].role = signing; n[i].owner = i; n[i].resumed = true; n[i].want = 0; n[i].asked = 0;     /* one durable write */
       if :: stickEpoch[i] > n[i].epoch -> n[i].epoch = stickEpoch[i] :: else -> skip fi }
#endif

  :: atomic { level > LEVELS -> break }
  od
}

proctype Chain() { do :: atomic { level <= LEVELS -> level++ } :: level > LEVELS -> break od }

init {
  atomic {
    n[0].role = signing;  n[0].epoch = 1; n[0].owner = 0; n[0].ceiling = NO_CUT; n[0].up = true; n[0].resumed = true;
    n[1].role = standby; n[1].epoch = 1; n[1].owner = 0; n[1].ceiling = NO_CUT; n[1].up = true; n[1].resumed = true;
    run Instance(0); run Instance(1); run Chain()
  }
}
