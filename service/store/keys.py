"""Every key in Redis, and what stands there; `{destination:…}` is the map of `breaker` and `tokens`.

Invariant: all keys of a form share the hash tag `{FORM}`, so its scripts can run on a cluster; what a person typed
stands in no key. Nothing ever stands at the base itself, `leads:{FORM}:`, which is the key that scripts are given: see
`server.cluster` for what that keeps together.

`leads:{FORM}:lead:ID`        hash: version, first, last, enquiries, phone ("1": has one), persons (JSON hashes),
                              index (lines: more hashes that find it), submissions (lines "at result version receipt"),
                              kept (said since that version), pace (until when its person's limit is used up),
                              v:N (a version, see `records.Version`), pinned (old versions that are kept whole),
                              d:DEST (delivery record, see shared/states.lua),
                              a:DEST (attempts, a JSON line each); of an erased one only first, erased (when), version,
                              its v:N, and d:DEST and a:DEST of those that have yet to hear of it
`leads:{FORM}:person:HASH`    lead id; runs out some time after the form's window
`leads:{FORM}:idem:HASH`      "at lead"; runs out after a day
`leads:{FORM}:text:HASH`      sorted set: hash of who sent this text lately ► when, a few; runs out after a day
`leads:{FORM}:index`          hash: person hash ► what is held of that person, see shared/index.lua
`leads:{FORM}:erased:HASH`    when that person was erased; runs out when nothing of then can be on its way any more
`leads:{FORM}:rate:NAME`      until when a limit is used up, see shared/rate.lua: NAME is "form" or "address:HASH"
`leads:{FORM}:deferred`       sorted set: lead ► when its person's limit allows the next version
`leads:{FORM}:once:HASH`       whose submission a challenge was solved for (hashes); runs out after the challenge
`leads:{FORM}:receipts`       hash: receipt ► lead id, or "?submission id" of a quarantined one
`leads:{FORM}:seen:DAY`       hash: submission id ► result, or id of a report of refusals ► ""; runs out later than any
                              spool may lie
`leads:{FORM}:synced`         written by `server` behind each script that replicas must have on disk; read by nobody
`leads:{FORM}:copy`           who copies or restores the form, see shared/copy.lua; `noted`: what was written meanwhile
`leads:{FORM}:leads`          sorted set: lead ► when its latest version came here
`leads:{FORM}:due:DEST`       sorted set: lead ► due, or end of its lease
`leads:{FORM}:waiting:DEST`   sorted set: lead ► acceptance of its oldest waiting version
`leads:{FORM}:dead:DEST`      sorted set: lead ► time of its last death
`leads:{FORM}:held`           hash: submission id ► quarantined submission, JSON; `quarantine`: the same by time
`leads:{FORM}:count`          hash: received, rejected, …, DEST:owed, DEST:delivered, …
`leads:{FORM}:day:DAY`        hash: the same of what was received that day, "QUARTER:NAME", see shared/tally.lua;
                              `day:DAY:campaigns`, `:choices`, `:codes`, `:names`, `:took`: by what that says
`leads:{FORM}:days`           hash: DAY ► a number that grows whenever `day:DAY` changes
`leads:{FORM}:fields`         hash: "at FIELD" ► when a configured field last came (ms), "since FIELD" ► how many
                              submissions came without it since
`leads:forms`                 set: every form that was ever served
`leads:secrets…`, `leads:cipher`  what the processes agree on, see `server.agreement`
`leads:restored`              the id of the backup that was restored here
`leads:move`, `leads:mover`, `leads:moving`  where the leads have moved, or are about to, see `store.server.forwarding`
`leads:proof:written`         written and deleted at once by whoever asks whether a write comes through
`leads:wake`                  channel: the name of a destination that has something due now, or is open again
`leads:schema`                the number of this map, written once by `server`; `{destination:…}` is the map of
                              `breaker` and `tokens`, `leads:workers` that of `delivery.heartbeat`
"""

from typing import Final

WAKE: Final = "leads:wake"
EXCERPT: Final = "excerpt"
"""What an excerpt of an answer is sealed for, as a fact is for its name."""
RECORD: Final = "record"
"""What a destination's own id of a lead is sealed for."""
FORMS: Final = "leads:forms"


def base_of(form: str) -> str:
    """Return what every key of a form begins with."""
    return f"leads:{{{form}}}:"
