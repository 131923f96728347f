#!/usr/bin/env bash
# axios makes JSON of a FormData when the Content-Type is application/json, and takes any sign between ASCII words of a
# name for a step into an object: `your-name` (Contact Form 7) and `Full Name` arrive as {"your": {"name": …}} and
# {"Full": {"Name": …}}, and a name in Devanagari as "undefined", so that two such fields become one list.
# Seen with axios 1.13.2 (lib/helpers/formDataToJSON.js reads names by /\w+|\[(\w*)]/g), also 1.6.8 to 1.12.0;
# 1.21.1 leaves such names whole. Needs npm and Node 18 or later. Exits 1 when that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-save --no-audit --no-fund axios@1.13.2 axios-later@npm:axios@1.21.1
node - <<'NODE'
const form = new FormData();
for (const [name, value] of [["your-name", "Asha"], ["Full Name", "Asha Rao"], ["नाम", "आशा"], ["शहर", "पुणे"]])
  form.append(name, value);
const said = Object.fromEntries(["axios", "axios-later"].map((name) => {
  const axios = require(name);
  return [axios.VERSION, JSON.stringify(axios.formToJSON(form))];
}));
console.log(said);
const seen = {
  "1.13.2": '{"your":{"name":"Asha"},"Full":{"Name":"Asha Rao"},"undefined":["आशा","पुणे"]}',
  "1.21.1": '{"your-name":"Asha","Full Name":"Asha Rao","नाम":"आशा","शहर":"पुणे"}',
};
process.exit(JSON.stringify(said) === JSON.stringify(seen) ? 0 : 1);
NODE
