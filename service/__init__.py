"""Lead capture: a form's submission is checked, recognised, kept and brought to the CRM.

The map. A module imports only from lower rungs, and on its own rung only from what stands before it; files of one
folder count as one module. Everything above the line is pure: no await, no clock, no network, no Redis, no
environment. `tests/test_conventions.py` reads this table and holds the code to it.

    0   trouble secret problem languages lead kept text table document account rate caller address
            a text that hides itself; the catalogue of codes, and what they say in each language; what was said; plain
            readers of text, tables and JSON; how often, and whose request
    1   signature guess email phone_text phone_number phone_repair phone sentence outcome posted multipart environment
            signing; raw text to verdict; a code to its sentence; what an attempt came to, and when next
    2   form voice field_match origin source next_url spam
            a form and its fields; in which language it speaks; which posted name is which; where a submission came
            from and may go next; what about it looks like spam
    3   destinations
            one file a kind of CRM: lead to request, response to outcome
    4   kind theme_table limits_table spam_table captcha_table form_table body_table webhook_table service_table config
            leads.toml to a configuration, or every mistake in it
    5   body webflow validate person captcha consent limiter reply script style page sample openapi
            bytes to fields to content; who it is; every answer a browser can see
    --- I/O below this line ---
    6   connection inspection server cipher gate store archive erasure sender spool
            Redis, with lua/; the local disk; the outgoing HTTP
    7   audit repair upkeep intake drain challenge exchange reception delivery dispatch sheet
            one submission; one delivery: they return what happened
    8   settings log metrics
            the environment, read once; what happened, as lines and figures
    9   web protocol worker
            the two processes
    10  wiring installation embedded part up demo serving
            wiring; with the next rung the only readers of the environment and of the real clock
    11  asking cli_leads cli_sending cli_quarantine cli_person cli __main__
            the command line

The way of one submission: web, reception, body, validate, intake, store (lua/accept.lua); from there worker, dispatch,
delivery, destinations, sender, store (lua/settle.lua).
"""

__version__ = "0.1.0"
