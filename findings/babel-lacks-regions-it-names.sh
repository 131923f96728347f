#!/usr/bin/env bash
# Babel names Ascension Island, the Caribbean Netherlands and Tristan da Cunha, which are regions of phone numbers too,
# and refuses a locale of each: a program that asks how a region of libphonenumber writes dates breaks there alone.
# Seen with Babel 2.18.0 and phonenumbers 9.0.43: of 245 regions AC, BQ and TA raise UnknownLocaleError, the other 242
# have a locale by their likely language. Exits 1 when that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check babel==2.18.0 phonenumbers==9.0.43
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import babel
import phonenumbers

names = babel.Locale("en").territories
refused = {}
for region in sorted(phonenumbers.SUPPORTED_REGIONS):
    try:
        babel.Locale.parse(f"und_{region}")
    except babel.UnknownLocaleError:
        refused[region] = names.get(region)
print(f"Babel {babel.__version__}, phonenumbers {phonenumbers.__version__}: {len(phonenumbers.SUPPORTED_REGIONS)} regions")
print("refused as a locale, and named:", refused)
seen = {"AC": "Ascension Island", "BQ": "Caribbean Netherlands", "TA": "Tristan da Cunha"}
sys.exit(refused != seen)
PYTHON
