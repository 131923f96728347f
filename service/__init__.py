"""Lead capture: a form's submission is checked, recognised, kept and brought to the CRM.

The map. Every package below is a room; a module imports from its own room and from the rooms above it, never from one
below. The rooms above the line are pure: no await, no clock, no network, no Redis, no environment. Each room's
`__init__.py` says in a sentence what belongs there. `tests/whole/test_conventions.py` reads this table and holds the
code to it.

    lib            text, secrets, network addresses, rates, times, JSON text, signatures
    model          the nouns: form, lead, problem, languages
    fields         one field: what was typed ► a value or a problem
    submission     one POST: bytes ► what was said, by whom, what looks like spam
    destinations   a lead ► a conversation with a CRM: requests, its answers, an outcome
    config         leads.toml ► a configuration, or every mistake in it
    replies        everything a browser can see
    --- I/O below this line ---
    store          Redis and its scripts
    intake         a submission comes to rest on a disk
    backup         what is kept ► a file that knows no server, and back; or under another secret
    delivery       what is due is claimed, sent, settled
    notices        what is wrong is told without being asked for
    web            HTTP comes in
    desk           the pages for whoever owns the leads
    demo           the clinic's page, and a CRM to look at
    process        environment, log, metrics, the mains of web, worker and desk
    up             all processes on one machine
    cli            the command line

The way of one submission: web/submit, submission/body, submission/check, intake, store (lua/lead/accept.lua); from
there process/worker, delivery/dispatcher, delivery/courier, destinations, delivery/sender, store (lua/lead/settle.lua).
"""

__version__ = "0.2.0"
