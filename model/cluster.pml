/* Several instances share the right to sign through a register with compare-and-set (package register): no clock decides, levels do.
 *
 * A record names the owner's process (its life), a horizon, and a floor for each kind of signature. An owner signs a level above its floor and
 * up to its limit: the horizon of a write of its own, in this life, that surely succeeded.
 *
 *   acquire  compare-and-set: this life; floors := the record's horizon, or the exact marks of a release; horizon := max(that, head) + AHEAD
 *   extend   compare-and-set on the own record: horizon := head + AHEAD
 *   release  fence first; then compare-and-set: nobody's record, exact marks in the place of the floors, horizon := the highest mark
 *   ask      compare-and-set on another's record: no field changes but the nonce
 *   settle   after a release without an answer: release again, as long as the record is still this life's
 *
 * Any instance acquires at any time (several standbys at once, an operator's takeover): when to take over is no matter of safety. With -DPOLICY the
 * automatic takeover alone: when the head has reached the horizon, or after a release. A request can be applied long after its sender gave it up (a
 * ghost), also after a read that did not show it. An answer can be lost or late. Instances crash at any step; a restart is a new life and knows
 * nothing of the marks of the life before. With -DCLONE the last instance is a copy of the first, disk and identity.
 *
 * Claim: no level is signed by two lives, for any kind. docs/model.md has the breakages, scripts/model.sh the shapes and their flags.
 */
#ifndef N
#define N 2             /* instances */
#endif
#ifndef KINDS
#define KINDS 1         /* of signatures, each with a floor of its own */
#endif
#ifndef LEVELS
#define LEVELS 3
#endif
#ifndef AHEAD
#define AHEAD 1
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef WRITES
#define WRITES 4        /* requests to the register, in all */
#endif

#define NOTHING 0       /* what an instance has under way */
#define ACQUIRE 1
#define EXTEND 2
#define RELEASE 3
#define ASK 4

typedef Marks { byte level[KINDS] }
typedef Record { byte life; byte horizon; byte floor[KINDS]; byte nonce }       /* life 0: released, and floor holds the exact marks */
typedef Judge { byte by[LEVELS + 1] }

Record reg;
byte nonces = 1;                /* each write has its own */
byte lives;                     /* each process has its own */
byte owner[N + CRASHES + 1];    /* the instance of a life, as the register names it */
byte head;                      /* the chain's level: a node may be behind, none is ahead */
byte crashes = CRASHES, writes = WRITES;
Judge out[KINDS];

/* in the memory of a process */
byte life[N], limit[N];
Record held[N];                 /* the record that gives the right; the limit is its horizon, but for a breakage */
Marks top[N];                   /* the highest level signed in this life */
bool mine[N], fenced[N];
bool unsettled[N];              /* a release of this life may still be applied */

/* one request of each instance may be under way, and one given up: the latter outlives the process */
byte want[N], prev[N], ghostPrev[N];
bool applied[N];
Record next[N], ghost[N];

byte rev;                       /* the register's revision: counted again after a restore */
byte answerRev[N];              /* the revision in the answer that is under way */
#ifdef RESTORE
Record old;                     /* the operator's copy of the register */
byte oldRev;
byte seen[N];                   /* on the disk of an instance: the highest revision seen */
bool saved, restored;
#ifdef NO_SEEN
#define NEWER(i) true
#else
#define NEWER(i) (rev >= seen[i])
#endif
#else
#define NEWER(i) true
#endif

#ifdef ADOPT_RELEASED
#define SETTLED(i) true
#else
#define SETTLED(i) (!unsettled[i])
#endif
#ifdef CLONE
#define ID(i) (i == N - 1 -> 0 : i)
#else
#define ID(i) i
#endif
#ifdef SAME_LIFE
#define OWN(i) (reg.life > 0 && owner[reg.life] == ID(i))
#else
#define OWN(i) (reg.life == life[i])
#endif
#ifdef POLICY
#define DUE (reg.life == 0 || head >= reg.horizon)
#else
#define DUE true
#endif
#define MAX(a, b) (a > b -> a : b)
#define CAPPED(h) (h > LEVELS -> LEVELS : h)

inline copy(to, from) {
  to.life = from.life; to.horizon = from.horizon; to.nonce = from.nonce;
  k = 0; do :: k < KINDS -> to.floor[k] = from.floor[k]; k++ :: else -> break od; k = 0
}

inline clear(rec) {
  rec.life = 0; rec.horizon = 0; rec.nonce = 0;
  k = 0; do :: k < KINDS -> rec.floor[k] = 0; k++ :: else -> break od; k = 0
}

inline drop(me) { mine[me] = false; fenced[me] = false; limit[me] = 0; clear(held[me]) }

inline over(me) { want[me] = NOTHING; applied[me] = false; prev[me] = 0; clear(next[me]) }

inline hold(me, rec) { copy(held[me], rec); mine[me] = true; limit[me] = rec.horizon }

inline see(me, at) {
#ifdef RESTORE
  if :: at > seen[me] -> seen[me] = at :: else fi
#else
  skip
#endif
}

inline noteRev(me) {
#ifdef RESTORE
  answerRev[me] = rev
#else
  skip
#endif
}

inline begin(me) {
  lives++; owner[lives] = ID(me); life[me] = lives; unsettled[me] = false;
  drop(me); over(me);
  k = 0; do :: k < KINDS -> top[me].level[k] = 0; k++ :: else -> break od; k = 0
}

inline send(me, what, base) {
  writes--; want[me] = what; prev[me] = base
}

inline write(rec) {
  copy(reg, rec); nonces++; reg.nonce = nonces;
#ifdef RESTORE
  rev++
#endif
}

/* the record of a release: exact marks, never below the floors of the acquisition */
inline close(me, from) {
  next[me].life = 0; next[me].horizon = 0;
  k = 0;
  do
  :: k < KINDS ->
#ifdef RELEASE_BELOW
       next[me].floor[k] = top[me].level[k];
#else
       next[me].floor[k] = MAX(top[me].level[k], from.floor[k]);
#endif
       next[me].horizon = MAX(next[me].horizon, next[me].floor[k]); k++
  :: else -> break
  od; k = 0
}

proctype instance(byte i) {
  byte h, k;
end:
  do
  /* sign any kind, at any level that the right allows */
  :: atomic { mine[i] && !fenced[i] && limit[i] > 0 ->
       k = 0; do :: k < KINDS - 1 -> k++ :: break od;
       h = 1; do :: h < limit[i] -> h++ :: break od;
       if
       :: h > held[i].floor[k] && h > top[i].level[k] ->
            assert(out[k].by[h] == 0 || out[k].by[h] == life[i]);
            out[k].by[h] = life[i]; top[i].level[k] = h
       :: else
       fi; h = 0; k = 0
     }
  /* a linearizable read, and a request that compares with the record that was read */
  :: atomic { want[i] == NOTHING && !mine[i] && writes > 0 && reg.horizon < LEVELS && DUE && NEWER(i) ->
       see(i, rev); send(i, ACQUIRE, reg.nonce);
       next[i].life = life[i]; next[i].horizon = CAPPED(MAX(reg.horizon, head) + AHEAD);
       k = 0;
       do
       :: k < KINDS ->
#ifdef NO_FLOOR
            next[i].floor[k] = head;
#elif defined(KEEP_MARKS)
            next[i].floor[k] = reg.floor[k];
#else
            next[i].floor[k] = (reg.life == 0 -> reg.floor[k] : reg.horizon);
#endif
            k++
       :: else -> break
       od; k = 0
     }
  :: atomic { want[i] == NOTHING && mine[i] && writes > 0 && limit[i] < CAPPED(head + AHEAD) ->
       send(i, EXTEND, held[i].nonce); copy(next[i], held[i]); next[i].horizon = CAPPED(head + AHEAD);
#ifdef TRUST_SENT
       limit[i] = next[i].horizon
#endif
     }
  :: atomic { want[i] == NOTHING && mine[i] && writes > 0 ->
       send(i, RELEASE, held[i].nonce); close(i, held[i]);
#ifndef NO_FENCE
       fenced[i] = true
#endif
     }
  :: atomic { want[i] == NOTHING && unsettled[i] && OWN(i) && writes > 0 && NEWER(i) -> send(i, RELEASE, reg.nonce); close(i, reg) }
#ifdef ASKS
  :: atomic { want[i] == NOTHING && !mine[i] && reg.life > 0 && !OWN(i) && writes > 0 && NEWER(i) ->
       see(i, rev); send(i, ASK, reg.nonce); copy(next[i], reg) }
#endif
  /* the register applies the request, or refuses it and shows its record */
  :: atomic { want[i] != NOTHING && !applied[i] ->
       if
#ifdef BLIND
       :: reg.nonce == prev[i] || want[i] == EXTEND ->
#elif defined(BLIND_TAKE)
       :: reg.nonce == prev[i] || want[i] == ACQUIRE ->
#else
       :: reg.nonce == prev[i] ->
#endif
            write(next[i]); next[i].nonce = nonces; applied[i] = true; noteRev(i)
       :: else ->
            if
            :: NEWER(i) && reg.life == life[i] && (mine[i] || SETTLED(i)) -> hold(i, reg)      /* an earlier request of this life was applied */
            :: else -> drop(i)
            fi;
            see(i, rev); over(i)
       fi
     }
  /* the answer comes */
  :: atomic { applied[i] ->
       if
       :: want[i] == RELEASE -> drop(i); unsettled[i] = false
       :: want[i] == ASK -> skip
       :: else -> hold(i, next[i]); unsettled[i] = false
       fi;
       see(i, answerRev[i]); over(i)
     }
  /* the answer is lost, or the request is given up: the old limit stays good, but for a release */
  :: atomic { want[i] != NOTHING && (applied[i] || ghostPrev[i] == 0) ->
       if :: !applied[i] -> copy(ghost[i], next[i]); ghostPrev[i] = prev[i] :: else fi;
       if :: want[i] == RELEASE -> drop(i); unsettled[i] = true :: else fi;
       over(i)
     }
  :: atomic { ghostPrev[i] > 0 ->
       if :: reg.nonce == ghostPrev[i] -> write(ghost[i]) :: else fi;      /* or dropped: as a compare that fails */
       ghostPrev[i] = 0; clear(ghost[i])
     }
  :: atomic { ghostPrev[i] > 0 -> ghostPrev[i] = 0; clear(ghost[i]) }
  /* a read: a record of this life is adopted, another one ends the right, and so does a register that went back */
  :: atomic { want[i] == NOTHING && NEWER(i) && OWN(i) && (!mine[i] || held[i].nonce != reg.nonce) && (mine[i] || SETTLED(i)) -> hold(i, reg); see(i, rev) }
  :: atomic { want[i] == NOTHING && mine[i] && (!OWN(i) || !NEWER(i)) -> drop(i); see(i, rev) }
  /* a crash and a restart */
  :: atomic { crashes > 0 && (want[i] == NOTHING || applied[i] || ghostPrev[i] == 0) ->
       crashes--;
       if :: want[i] != NOTHING && !applied[i] -> copy(ghost[i], next[i]); ghostPrev[i] = prev[i] :: else fi;
       begin(i)
     }
  od
}

#ifdef RESTORE
#ifdef ALL_SAW  /* each instance has seen the newest record, and no request of before is under way any more */
#define QUIET (seen[0] == rev && seen[N - 1] == rev && ghostPrev[0] + ghostPrev[N - 1] == 0 && prev[0] + prev[N - 1] == 0)
#else
#define QUIET true
#endif
#endif

active proctype chain() {
  byte k;
end:
  do
  :: atomic { head < LEVELS - 1 -> head++ }
#ifdef RESTORE
  :: atomic { !saved -> saved = true; copy(old, reg); oldRev = rev }
  :: atomic { saved && !restored && QUIET && rev > oldRev -> restored = true; copy(reg, old); rev = oldRev }
#endif
  od
}

init {
  byte i, k;
  atomic {
    reg.nonce = 1;
    do
    :: i < N -> begin(i); run instance(i); i++
    :: else -> break
    od
  }
}
