#!/usr/bin/env bash
# Meta's client for conversions hashes a phone number as it was typed, less a leading 0: it puts no calling code before
# it, even if it is told the country, and keeps the 0 of "+91 (0)…". Both are hashes of numbers that nobody has, so Meta
# matches no one, and says nothing. A number has to be E.164 before the client gets it.
# Seen with facebook_business 26.0.3. Exits 1 when that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check facebook_business==26.0.3
"$folder/venv/bin/python" - <<'PYTHON'
import hashlib
import sys
from importlib.metadata import version

from facebook_business.adobjects.serverside.user_data import UserData

SPELLINGS = ("918951047001", "8951047001", "9108951047001")
hashes = {hashlib.sha256(digits.encode()).hexdigest(): digits for digits in SPELLINGS}
sent = {}
for typed in ("+91 89510 47001", "089510 47001", "+91 (0) 89510 47001"):
    (hashed,) = UserData(phones=[typed], country_codes=["in"]).normalize()["ph"]
    sent[typed] = hashes.get(hashed, "something else")
print("facebook_business", version("facebook_business"), "hashes", sent)
seen = {"+91 89510 47001": "918951047001", "089510 47001": "8951047001", "+91 (0) 89510 47001": "9108951047001"}
sys.exit(sent != seen)
PYTHON
