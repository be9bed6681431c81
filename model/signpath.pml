/* The order of things in signer.Sign and store.commit, for one chain, key and kind: two requests at a time, the one committer, a page cache
 * above a disk, a device that signs whatever it is asked, a process that is killed and a machine that loses its power at every step, and
 * another instance that signs above the marks which a release gave it.
 *
 * Survives a power cut: disk. Survives a kill: cache. Gone with the process: all else of ours.
 *
 * Claim: at each level there is one signature at most that was ever given out. docs/model.md says what this means, and what it does not;
 * `make model` runs it in the shapes that scripts/model.sh names, and each breakage, which must be found. Shapes are made of
 *
 *   -DDETERMINISTIC   the same bytes always get the same signature (tz1, tz4); without it each one is another (tz2, tz3)
 *   -DFENCE           the right to sign is given to the other instance
 *   -DEIO             a sync fails
 *   -DDAMAGE          the watermark file is lost while nobody runs
 */
#ifndef LEVELS
#define LEVELS 2        /* levels 1..LEVELS; 0 is the floor that everything begins with */
#endif
#ifndef ASKS
#define ASKS 4          /* requests in all */
#endif
#ifndef CRASHES
#define CRASHES 2
#endif

/* bytes: 1 or 2 are payloads, 0 is a floor's; sig 0: none is kept */
typedef Mark { byte level; byte bytes; byte sig }

Mark disk, cache, mem, taken;
bool dirty;             /* the cache holds what the disk may not have */
bool lost;              /* the file is gone */

byte life = 1;          /* which process this is: what began in another one is over */
bool up = true, open = true, fresh, poisoned;
bool locked;            /* the lock of chain, key and kind */
byte moved, durable;    /* how often this process moved the mark; up to which of these it is on the disk */

byte out[LEVELS + 1];   /* the judge: the signature that was given out */
byte signatures;        /* made by the device so far */
byte asks = ASKS, crashes = CRASHES;
bool owner = true;      /* the durable role */
byte given = LEVELS;    /* above it the other instance signs */

#define COPY(to, from) to.level = from.level; to.bytes = from.bytes; to.sig = from.sig
#define RESET(mark) mark.level = 0; mark.bytes = 0; mark.sig = 0
#define GONE l = 0; b = 0; sig = 0; era = 0; ticket = 0; goto endidle  /* what is over leaves nothing behind */
#define OTHERS 255      /* a signature of the other instance */

inline release(l_, s_) {
  assert(out[l_] == 0 || out[l_] == s_);
  out[l_] = s_
}

/* Two requests at a time, for any level and any of two payloads. Each step is of one life. */
active [2] proctype request() {
  byte l, b, sig, era, ticket;
endidle:
  atomic {
    up && open && asks > 0 -> asks--; era = life;
    if :: l = 1 :: l = 2 fi;
    if :: b = 1 :: b = 2 fi
  }
#ifndef NO_LOCK
  atomic { life != era || !locked ->
    if :: life != era -> GONE :: else -> locked = true fi }
#endif
decide:
  atomic {
    if
    :: life != era -> GONE
    :: life == era && poisoned -> goto unlock
    :: else -> if
      :: l > mem.level -> skip                                    /* advance */
#ifdef NO_DIGEST
      :: l == mem.level && mem.bytes != 0 ->
#else
      :: l == mem.level && mem.bytes == b ->
#endif
        if
        :: mem.sig != 0 -> sig = mem.sig; goto answer             /* replay */
#if defined(DETERMINISTIC) || defined(RESUME_ALL)
        :: mem.sig == 0 -> goto ask                               /* resume */
#else
        :: mem.sig == 0 && fresh -> goto ask
        :: mem.sig == 0 && !fresh -> goto unlock
#endif
        fi
      :: else -> goto unlock                                      /* refuse */
      fi
    fi
  }
  /* the mark moves in memory, and only where the gate is still open and nothing moved it meanwhile */
  atomic {
    if
    :: life != era -> GONE
    :: else -> if
#ifdef FENCE_UNASKED
      :: true ->
#else
      :: !open -> goto unlock
      :: open ->
#endif
#ifndef NO_LOCK
        if :: l <= mem.level || poisoned -> goto unlock :: else -> skip fi;
#endif
        mem.level = l; mem.bytes = b; mem.sig = 0; fresh = true;
        moved++; ticket = moved
      fi
    fi
  }
ask:
#ifdef LOCK_EARLY
  atomic { if :: life == era -> locked = false :: else -> GONE fi }     /* its client gave up */
#endif
  atomic {
    if
    :: life != era -> GONE
    :: else -> if
#ifdef DETERMINISTIC
      :: sig = 2 * l + b
#else
      :: signatures++; sig = signatures
#endif
      :: sig = 0                                                  /* the device failed */
      fi
    fi
  }
#ifdef KEEP_LATE
  atomic { life != era || ticket <= durable || poisoned ->
    if :: life != era -> GONE :: life == era && (sig == 0 || poisoned) -> goto unlock :: else -> release(l, sig) fi }
  atomic { if :: life == era -> locked = false :: else -> GONE fi }
  atomic { if :: life == era && mem.level == l && mem.bytes == b -> mem.sig = sig :: else -> skip fi; GONE }
#endif
#ifdef ANSWER_FIRST
  goto keep;
#endif
  atomic { life != era || ticket <= durable || poisoned ->        /* ticket 0: resumed, it is durable */
    if :: life != era -> GONE
#ifdef FAILED_IS_DONE
    :: life == era && false -> skip
#else
    :: life == era && poisoned && ticket > durable -> goto unlock
#endif
    :: else -> skip fi }
keep:
  atomic {
    if
    :: life != era -> GONE
    :: life == era && sig == 0 -> goto unlock
    :: else -> if :: mem.level == l && mem.bytes == b -> mem.sig = sig :: else -> skip fi
    fi
  }
answer:
#ifdef FENCE_UNASKED
  atomic { if :: life == era -> release(l, sig) :: else -> skip fi }
#else
  atomic { if :: life == era && open -> release(l, sig) :: else -> skip fi }
#endif
unlock:
  atomic { if :: life == era -> locked = false :: else -> skip fi; GONE }
}

/* The one writer: takes the mark as it is in memory, kept signature included, writes it, syncs it, and only then says so. */
active proctype committer() {
  byte era, until;
end:
  do
  :: atomic { up && !poisoned && (mem.level != cache.level || mem.bytes != cache.bytes || mem.sig != cache.sig || durable < moved) ->
       era = life; until = moved; COPY(taken, mem) }
     atomic { if :: life == era -> COPY(cache, taken); dirty = true :: else -> skip fi }
     atomic {
       if
       :: life == era -> if
#ifndef NO_SYNC
         :: COPY(disk, cache); dirty = false; durable = until
#else
         :: durable = until
#endif
#ifdef EIO
         :: dirty = false; poisoned = true                        /* the cache keeps it, and takes it for written */
#endif
         fi
       :: else -> skip
       fi
     }
     atomic {
#ifdef NO_POISON
       if :: life == era && poisoned -> poisoned = false; durable = until :: else -> skip fi;
#endif
       era = 0; until = 0; RESET(taken)
     }
  od
}

active proctype world() {
end:
  do
  :: atomic { crashes > 0 && up -> crashes--; life++; up = false; open = false; locked = false; poisoned = false; fresh = false;
       moved = 0; durable = 0; RESET(mem);
       if
       :: skip                                                    /* killed */
       :: if :: dirty -> COPY(disk, cache) :: skip fi;            /* the power is cut: it was written back, or it was not */
          COPY(cache, disk); dirty = false
       fi }
#ifdef DAMAGE
  :: atomic { !up && !lost -> lost = true }
#endif
#ifdef ABSENT_IS_ZERO
  :: atomic { !up && lost -> lost = false; RESET(disk); COPY(cache, disk); dirty = false }
#endif
  :: atomic { !up && !lost ->                                     /* the start: what it believes is on the disk */
#ifndef NO_SETTLE
       if :: dirty -> COPY(disk, cache); dirty = false :: else -> skip fi;
#ifndef NO_DROP
       COPY(cache, disk);
#endif
#endif
       COPY(mem, cache);
       up = true; open = owner }
#ifdef FENCE
  :: atomic { up && open -> open = false }                        /* nobody else is let in; who is inside is given up */
  :: atomic { up && !open && owner && !poisoned -> owner = false; given = mem.level }    /* durable, with the final mark */
  :: atomic { given < LEVELS -> given++; release(given, OTHERS) }
#endif
  od
}
