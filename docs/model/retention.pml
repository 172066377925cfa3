/*
 * The protocol of a session's lock: open, queue, retained lease, recall, validated finish, loss of the lock, revocation,
 * and lost messages. spin explores every interleaving of NODES replicas with REQUESTS requests each; see README.md.
 *
 * Every atomic step is one Lua script, or what one replica does under its mutex. Times do not occur: whatever a timer
 * may do, may happen at any moment.
 *
 * Properties:
 *   - an acknowledged write is based on the newest version (assertion in commit)
 *   - an acknowledged request has seen no version older than the newest at its start, and no session that was removed
 *     before it (assertion in answer)
 *   - no request waits for ever (spin reports an invalid end state)
 *
 * A mutant lacks one guard: -D NO_VERSION_CHECK, NO_FINISH_CHECK, NO_EXISTENCE_CHECK or NO_EXPIRY. spin finds each.
 */

#ifndef NODES
#define NODES 2
#endif
#ifndef REQUESTS
#define REQUESTS 3
#endif
#ifndef LOSSES
#define LOSSES 1  /* how often Redis loses the lock while it is in use */
#endif

#ifndef DEATHS
#define DEATHS 1  /* how many replicas die, whatever they hold */
#endif

#define NO_NODE NODES
#define NOTHING 255

/* Redis */
byte version = 1;
bool removed = false;
byte holder = NO_NODE;
byte queue[NODES];  /* who waits, the oldest first */
byte waiting = 0;
byte losses = 0;
byte deaths = 0;

/* the replicas */
bool retained[NODES];         /* the lock is kept for the next request; no request uses it */
bool using[NODES];            /* a request relies on the lock */
bool recalled[NODES];         /* another node waits for the lock that is in use here */
byte copy[NODES] = NOTHING;   /* version of the local copy */
byte running = NODES;         /* replicas that still make requests */

chan recalls[NODES] = [1] of { bit };

/* what the scripts check */
#ifdef NO_EXISTENCE_CHECK
#define GONE false
#else
#define GONE removed
#endif
#ifdef NO_VERSION_CHECK
#define STALE false
#else
#define STALE (version != seen || (holder != n && holder != NO_NODE))
#endif
#ifdef NO_FINISH_CHECK
#define UNTRUE false
#else
#define UNTRUE (removed || version != seen)
#endif

#define queued(n) ((waiting > 0 && queue[0] == n) || (waiting > 1 && queue[1] == n) || (waiting > 2 && queue[NODES - 1] == n))

/* pass gives the lock to the first waiter, or frees it: queue.lua. */
inline pass() {
	if
	:: waiting > 0 ->
		holder = queue[0];
		for (i : 0 .. NODES - 2) { queue[i] = queue[i + 1] }
		waiting--;
		queue[waiting] = 0
	:: else -> holder = NO_NODE
	fi;
	i = 0
}

/* tell sends a message to a replica, or loses it. */
inline tell(c) {
	if
	:: nfull(c) -> c!1
	:: true -> skip
	fi
}

/* enter takes the lock, or puts the replica into the queue and recalls the lock: enter.lua. */
inline enter() {
	if
	:: holder == NO_NODE && waiting == 0 -> holder = n
	:: holder == NO_NODE && waiting > 0 && queue[0] == n -> pass()
	:: holder == NO_NODE && waiting > 0 && queue[0] != n ->
		if
		:: !queued(n) -> queue[waiting] = n; waiting++
		:: else -> skip
		fi;
		pass()
	:: holder == n -> skip
	:: holder != NO_NODE && holder != n ->
		if
		:: !queued(n) -> queue[waiting] = n; waiting++
		:: else -> skip
		fi;
		if
		:: queue[0] == n -> tell(recalls[holder])
		:: else -> skip
		fi
	fi
}

/* give releases the lock if it is ours: leave.lua, or release.lua. */
inline give() {
	if
	:: holder == n -> pass()
	:: else -> skip
	fi
}

/* finish ends the lock of a request that Redis has just checked: kept for a next one if none waits and it is wanted. */
inline finish() {
	if
	:: holder == n && waiting == 0 && !recalled[n] -> retained[n] = true
	:: give()
	fi
}

/* answer is the moment at which the response leaves: only an acknowledged request gets there. */
inline answer() {
	assert(!gone);
	assert(seen >= newest)
}

/* over ends a request, and forgets what only it knew. */
inline over() {
	recalled[n] = false; using[n] = false;
	seen = 0; newest = 0; gone = false; writes = false; assumed = false
}

/* refuse is what a request gets whose session has changed: the copy goes, and the lock is passed on. */
inline refuse() {
	copy[n] = NOTHING;
	give();
	over()
}

proctype Replica(byte n) {
	byte i, requests = 0, newest, seen;
	bool gone, writes, assumed;

begin:
	if
	:: atomic { deaths < DEATHS -> deaths++; retained[n] = false; running--; goto closed }
	:: atomic {  /* Close */
		requests == REQUESTS ->
		if
		:: retained[n] -> retained[n] = false; give()
		:: else -> skip
		fi;
		running--;
		goto closed
	}
	:: atomic {  /* A request begins: what was there before it, it has to see. */
		requests < REQUESTS ->
		requests++;
		newest = version; gone = removed; recalled[n] = false;
		if
		:: writes = true
		:: writes = false
		fi;
		if
		:: retained[n] && copy[n] != NOTHING ->  /* reuse without asking */
			retained[n] = false; assumed = true; using[n] = true; seen = copy[n];
			goto handler
		:: retained[n] = false; enter()
		fi
	}
	fi;
	do
	:: atomic { removed -> refuse(); goto begin }
	:: atomic { !removed && holder == n -> using[n] = true; seen = version; copy[n] = version; break }
	:: atomic { !removed && holder == NO_NODE -> enter() }  /* it has expired: ask again */
	od;
handler:
	if
	:: atomic { deaths < DEATHS -> deaths++; running--; over(); goto closed }
	:: atomic {  /* commit.lua */
		writes ->
		if
		:: GONE || STALE -> refuse()
		:: !GONE && !STALE ->
			assert(!removed); assert(version == seen);
			version++; copy[n] = version; seen = version;
			answer(); finish(); over()
		fi
	}
	:: atomic {  /* confirm.lua, at the end of the request */
		!writes && assumed ->
		if
		:: UNTRUE -> refuse()
		:: !UNTRUE -> answer(); finish(); over()
		fi
	}
	:: atomic {  /* It was checked when it began. The lock is kept in mind without asking, unless it was recalled. */
		!writes && !assumed ->
		answer();
		if
		:: !recalled[n] -> retained[n] = true
		:: give()
		fi;
		over()
	}
	fi;
	goto begin;
closed:
	skip
}

/* Listener gets the recalls of a replica. */
proctype Listener(byte n) {
	byte i;
end:
	do
	:: atomic {
		recalls[n]?1 ->
		if
		:: retained[n] -> retained[n] = false; give()
		:: else -> recalled[n] = true
		fi
	}
	od
}

/* Redis loses the lock while a node relies on it, as in a failover, or when a replica is paused for too long. */
proctype Loss() {
	do
	:: atomic { losses < LOSSES && holder != NO_NODE -> holder = NO_NODE; losses++ }
	:: running == 0 -> break
	od
}

/* A lock that no request keeps alive ends with its time: one that was retained, or granted, or forgotten. A replica that
 * believes so earlier asks instead of reusing it. */
proctype Expiry() {
	do
#ifndef NO_EXPIRY
	:: atomic { holder != NO_NODE && !using[holder] -> holder = NO_NODE }
#endif
	:: running == 0 -> break
	od
}

/* Another client changes the session without its lock: an optimistic commit, or a revocation. Of each, the replicas hear
 * by messages that may be lost. */
proctype Others() {
	byte n;
	if
	:: atomic { version++; n = 0; do :: n < NODES -> if :: copy[n] = NOTHING :: skip fi; n++ :: else -> break od }
	:: skip
	fi;
	if
	:: atomic {
		removed = true; holder = NO_NODE; waiting = 0; queue[0] = 0; queue[1] = 0;  /* remove.lua wakes all who wait */
		n = 0; do :: n < NODES -> if :: copy[n] = NOTHING :: skip fi; n++ :: else -> break od
	}
	:: skip
	fi
}

init {
	byte n;
	atomic {
		for (n : 0 .. NODES - 1) { run Replica(n); run Listener(n) }
		run Loss(); run Expiry(); run Others()
	}
}
