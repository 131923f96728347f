#!lua flags=allow-oom,no-writes
-- holdings: what a form holds.
-- KEYS[1]  base of the form's keys, "leads:{FORM}:"
-- result   JSON: leads, quarantined, people, receipts, and each counter and queue by its name
--@include record

return holdings(KEYS[1])
