// Sends forms to the service it came from; without it, the browser does.
(() => {
  "use strict";
  const script = document.currentScript;
  const home = new URL("f/", script.src).href;
  const root = document.documentElement;
  if (root.leadForm) return; // loaded twice
  root.leadForm = 1;
  const UNSENT = "lead-form-unsent-";
  const states = new WeakMap();
  const flying = new Set(); // keys of leads on their way
  let pressed; // the mouse is down: nothing may move
  let count = 0;

  const of = (node) => states.get(node) || states.set(node, {}).get(node);

  // A form as browsers made it: a field called "action" or "style" hides what is called so of the form.
  const bare = (form) =>
    new Proxy(form, {
      get(form, name) {
        const value = Reflect.get(HTMLFormElement.prototype, name, form);
        return typeof value == "function" ? value.bind(form) : value;
      },
    });

  const attempt = (work) => {
    try {
      return work();
    } catch {}
  };

  // Where a form posts to, if it is ours; a button may send it elsewhere.
  const target = (form, button) =>
    attempt(() => {
      const name = bare(form).getAttribute("data-lead-form");
      const other = button?.getAttribute("formaction");
      const action = other || name || bare(form).getAttribute("action") || "";
      const url = new URL(action, name && !other ? home : document.baseURI);
      const place = url.origin + url.pathname;
      return ((name != null && !other) || place.startsWith(home)) && place;
    });

  const ours = () => [...document.querySelectorAll("form")].filter((form) => target(form));

  const make = (kind, name) => {
    const node = document.createElement(kind);
    node.className = "lead-form-" + name;
    return node;
  };

  const visit = () => {
    const query = new URLSearchParams(location.search);
    const pick = (prefix, names) =>
      Object.fromEntries(names.split(" ").map((name) => [name, query.get(prefix + name)?.slice(0, 300)]));
    return {
      page: location.href.slice(0, 1000),
      referrer: document.referrer.slice(0, 1000),
      utm: pick("utm_", "source medium campaign term content id"),
      click_ids: pick("", "gclid gbraid wbraid fbclid msclkid"),
    };
  };

  // First and last touch, where asked for.
  const touches = (form) => {
    if (![script, bare(form)].some((node) => "attribution" in node.dataset)) return {};
    const here = { ...visit(), at: new Date().toISOString() };
    const known = attempt(() => JSON.parse(localStorage.leadForm)) || {};
    const fresh = (touch) => Date.parse(touch?.at) > Date.now() - 90 * 864e5 && touch;
    const from = attempt(() => new URL(here.referrer || here.page).host);
    const arrived = /utm_|clid=|braid=/.test(here.page) || from != location.host;
    known.first_touch = fresh(known.first_touch) || here;
    known.last_touch = (!arrived && fresh(known.last_touch)) || here;
    attempt(() => (localStorage.leadForm = JSON.stringify(known)));
    return known;
  };

  const isPhone = (field) => field.type == "tel" || (field.type == "text" && /phone|mobile/i.test(field.name));

  // What says which country a number is of: its name and value are sent along.
  const isCountry = ({ name, value }) =>
    value && /country|dial|calling|isd|prefix|(phone|mobile).*c(c|ode)/i.test(name);

  // What a phone widget (intl-tel-input) says about its field: { number, country }; null: it keeps that to itself.
  const ask = (field) => {
    const number = field.value;
    const around = field.closest(".iti");
    const { intlTelInput: now, intlTelInputGlobals: before } = window;
    const widget = field.iti || [now, before].reduce((found, all) => found || all?.getInstance?.(field), 0);
    if (widget) {
      const country = attempt(() => widget.getSelectedCountryData().iso2);
      return { number: attempt(() => widget.getNumber()) || number, country };
    }
    const flag = around?.querySelector("[class*=__selected] .iti__flag")?.className.match(/iti__([a-z]{2})(?![\w-])/);
    return around ? flag && { number, country: flag[1] } : { number };
  };

  // The note beside a field.
  const noteOf = (field) => {
    const state = of(field);
    if (!state.note) {
      const known = field.getAttribute("aria-describedby") || "";
      const own = document.getElementById(known)?.closest(".lead-form-note"); // of our own pages
      const place = isPhone(field) && bare(field.form).querySelector("[data-phone-status]:not([data-state])");
      const note = own || place || make("div", "note");
      const box = /checkbox|radio/.test(field.type);
      const group = box && field.closest("fieldset");
      const label = box && field.labels[0];
      const last = label && field.compareDocumentPosition(label) & 4 ? label : field; // it may stand behind its box
      if (!note.isConnected) group ? group.append(note) : (field.closest("label,.iti") || last).after(note);
      note.id ||= "lead-form-" + ++count;
      note.setAttribute("aria-live", "polite");
      note.dataset.state = "";
      if (!own) field.setAttribute("aria-describedby", `${known} ${note.id}`);
      state.note = note;
    }
    return state.note;
  };

  // `number` is what was asked about: a widget sends another one than it shows.
  const say = (field, { message = "", valid, code, suggestion }, number) => {
    const note = noteOf(field);
    note.textContent = message;
    note.dataset.state = message && (valid ? "valid" : "invalid");
    field.setAttribute("aria-invalid", !valid);
    mended(field.form);
    // Asked about once; sent again it is confirmed.
    if (code == "PHONE_INVALID_BUT_POSSIBLE") of(field.form).confirm = [number, field.value];
    if (!suggestion) return;
    const button = make("button", "suggestion");
    button.type = "button";
    button.textContent = suggestion;
    button.onclick = () => {
      field.value = suggestion;
      field.dispatchEvent(new Event("input", { bubbles: true }));
      field.focus();
      check(field);
    };
    note.append(" ", button);
  };

  // The sentence above all problems goes with the last of them.
  const mended = (form) => {
    const { problems } = of(form);
    if (!problems?.length || problems.some((field) => field.matches("[aria-invalid=true]"))) return;
    of(form).problems = null;
    show(form, "fail");
  };

  // Shows a message, or hides it: Webflow's, in the page's words, or ours.
  const show = (form, kind, text = "", more = "") => {
    const state = of(form);
    state[kind] ||= bare(form).querySelector(".lead-form-" + kind) || make("div", kind);
    const block = bare(form).closest(".w-form")?.querySelector(".w-form-" + kind) || state[kind];
    if (block == state[kind]) block.textContent = text;
    if (!block.isConnected) bare(form)[kind == "fail" ? "before" : "after"](block); // it heads what it speaks of
    block.append((state.more ||= make("div", "more")));
    state.more.textContent = more;
    block.style.display = text ? "block" : "none";
    block.tabIndex = -1;
    return block;
  };

  const clear = (form) => {
    bare(form).style.display = "";
    of(form).problems = null;
    show(form, "done");
    show(form, "fail");
    bare(form).querySelectorAll("[aria-invalid=true]").forEach((field) => say(field, { valid: true }));
  };

  const check = async (field) => {
    const { form, value } = field;
    const phone = isPhone(field);
    const place = form && (phone || field.type == "email") && target(form);
    if (!place || of(form).busy || !value.trim() || of(field).checked == value) return;
    const asked = phone ? ask(field) : { name: field.name, value };
    if (!asked) return; // a widget that nobody can ask: better nothing than something wrong
    of(field).checked = value;
    const { turn } = of(form);
    await pressed;
    if (phone) noteOf(field);
    try {
      const body = new URLSearchParams({ _language: root.lang });
      for (const [name, value] of Object.entries(asked)) if (value) body.set(name, value);
      const beside = asked.country ? [] : [...bare(form).elements].filter(isCountry);
      beside.forEach(({ name, value }) => body.append(name, value));
      const told = await (await fetch(place + (phone ? "/phone" : "/check"), { method: "POST", body })).json();
      await pressed;
      if (of(form).turn != turn) of(field).checked = ""; // sent meanwhile: that answer decides
      else if (field.value == value && told.code && !told.errors && (phone || told.suggestion || !told.valid))
        say(field, told, asked.number);
    } catch {} // A courtesy.
  };

  // The solution of the service's challenge; whoever has none is asked for it.
  const solve = async (url) => {
    const src = new URL("lead-form-altcha.js", script.src);
    const load = (onload, onerror) => document.head.append(Object.assign(make("script"), { src, onload, onerror }));
    if (!root.solveLeadForm) await new Promise(load);
    return root.solveLeadForm(url);
  };

  // Tries until that would change nothing.
  const deliver = async ({ url, key, pairs, asked: puzzle }) => {
    // Outlives the page, but for files.
    const kept = { url, key, pairs: pairs.filter((pair) => pair[1].trim) };
    attempt(() => (sessionStorage[UNSENT + key] = JSON.stringify(kept)));
    const headers = { Accept: "application/json", "Idempotency-Key": key };
    const body = new FormData();
    pairs.forEach((pair) => body.append(...pair));
    for (let turn = 0, told, solved; ; turn++) {
      let asked = 0;
      try {
        if (puzzle) puzzle = body.set("altcha", await solve(url));
        const answer = await fetch(url, { method: "POST", body, headers, signal: AbortSignal.timeout?.(6e4) });
        told = await answer.json().catch(() => !answer.ok && {});
        if (told && ![429, 502, 503, 504].includes(answer.status)) {
          puzzle = !solved && told.errors?.some(({ field }) => field == "altcha");
          if ((solved = puzzle)) continue;
          attempt(() => delete sessionStorage[UNSENT + key]);
          return { ...told, ok: answer.ok };
        }
        asked = answer.headers.get("Retry-After") * 1e3 || 0;
      } catch {}
      if (turn > 3 || asked > 6e4) return { ...told, ok: false };
      await new Promise((go) => {
        setTimeout(go, Math.max(asked, 1e3 << turn));
        addEventListener("online", go, { once: true });
      });
    }
  };

  const send = async (form, lead) => {
    const state = of(form);
    flying.add(lead.key);
    state.turn = {};
    clear(form);
    hold(form);
    state.edited = false;
    const told = await deliver(lead);
    flying.delete(lead.key);
    if (told.ok) {
      state.key = state.confirm = null;
      const next = bare(form).isConnected && (bare(form).dataset.redirect || told.next);
      if (next) return location.assign(next); // until "pagehide" the button is held
      bare(form).reset();
      bare(form).style.display = "none";
      show(form, "done", told.message, bare(form).dataset.nextSteps).focus();
      for (const offer of told.suggestions || []) propose(form, lead, offer);
    } else complain(form, told, lead.pairs);
    free(form);
  };

  // What was mistyped, and is sent again in its right spelling by one click.
  const propose = (form, { url, pairs, asked }, { field, message, suggestion }) => {
    const button = make("button", "suggestion");
    button.type = "button";
    button.textContent = suggestion;
    button.onclick = () => {
      const right = pairs.map(([name, value]) => [name, fold(name) == fold(field) ? suggestion : value]);
      send(form, { url, key: newKey(), pairs: right, asked });
    };
    of(form).more.append(message, " ", button);
  };

  const newKey = () => crypto.getRandomValues(new Uint32Array(4)).join("-");

  // Disables the button until `free`.
  const hold = (form) => {
    const button = bare(form).querySelector("[type=submit],button:not([type])") || make("button");
    const { value, dataset } = button;
    const nodes = [...button.childNodes];
    button.disabled = true;
    if (dataset.wait) button[nodes[0] ? "textContent" : "value"] = dataset.wait;
    of(form).busy = () => {
      button.disabled = false;
      if (nodes[0]) button.replaceChildren(...nodes);
      else if (value) button.value = value;
    };
  };

  const free = (form) => {
    of(form).busy?.();
    of(form).busy = null;
  };

  const fold = (name) => name.toLowerCase().replace(/[\s_[\]-]/g, "");

  const find = (form, test) => [...bare(form).elements].find((field) => field.type != "hidden" && test(field));

  // Whether somebody sees it now: an earlier step, another tab or closed details may hide it.
  const isShown = (field) =>
    field.getClientRects().length > 0 && field.checkVisibility?.({ visibilityProperty: true }) !== false;

  const complain = (form, { errors = [], check, message }, pairs) => {
    const problems = [];
    const rest = errors.filter((error) => {
      const field =
        find(form, (each) => each.name && fold(each.name) == fold(error.field)) ||
        (/^PHONE/.test(error.code) && find(form, isPhone)); // of a widget's hidden number
      if (!field) return true;
      say(field, error, pairs.find((pair) => pair[0] == error.field)?.[1]);
      problems.push(field);
      return !isShown(field);
    });
    attempt(() => window.turnstile.reset()); // its token is good for one try
    const failure = message || "Oops! Something went wrong while submitting the form.";
    const text = (problems.length && check) || bare(form).dataset.failure || failure;
    const sentences = rest.map(({ field, message }) => (field ? field + ": " : "") + message);
    const block = show(form, "fail", text, sentences.join(" "));
    of(form).problems = problems.length == errors.length && problems;
    (problems.find(isShown) || block).focus();
  };

  const submit = (event) => {
    const { target: form, submitter } = event;
    const state = of(form);
    if (event.defaultPrevented) return; // by a check of the page
    event.preventDefault();
    event.stopPropagation(); // Webflow listens at the document
    if (state.busy) return;
    const pairs = [...new FormData(form, submitter)];
    for (const pair of pairs)
      if (pair[0] == "_next" && pair[1]) attempt(() => (pair[1] = new URL(pair[1], document.baseURI).href));
    const add = (name, value) => value && !pairs.some((pair) => pair[0] == name) && pairs.push([name, value]);
    attempt(() => add("_source", JSON.stringify({ ...visit(), ...touches(form) })));
    add("_language", root.lang);
    for (const field of bare(form).elements) {
      if (!field.value || !isPhone(field) || !field.closest(".iti")) continue;
      const { number, country } = ask(field) || {}; // what the widget shows beside the number
      add(field.name + "_country", country);
      if (number != field.value) add(field.name + "_full", number);
    }
    add("_confirm", state.confirm?.find((number) => pairs.some((pair) => pair[1] == number)));
    add("_elapsed", `${performance.now() | 0}`);
    add("_webdriver", navigator.webdriver && "1");
    state.key ||= newKey();
    send(form, { url: target(form, submitter), key: state.key, pairs, asked: "captcha" in bare(form).dataset });
  };

  // Sends what a reload or a lost network left.
  const resume = () =>
    attempt(() => {
      for (const name of Object.keys(sessionStorage)) {
        const lead = name.startsWith(UNSENT) && JSON.parse(sessionStorage[name]);
        if (!lead || flying.has(lead.key)) continue;
        const isIdle = (form) => target(form) == lead.url && !of(form).busy && !of(form).edited;
        const form = ours().find(isIdle) || make("form");
        of(form).key ||= lead.key;
        send(form, lead);
      }
    });

  // Ours is the form's last listener: those that fill hidden fields come before, the document's after.
  const last = ({ target: form, submitter }) => {
    bare(form).removeEventListener("submit", submit);
    if (target(form, submitter)) bare(form).addEventListener("submit", submit);
  };
  addEventListener("submit", last, true);
  const press = (go) => {
    addEventListener("mouseup", () => setTimeout(go), { once: true });
    setTimeout(go, 1e3); // a menu may swallow the other
  };
  addEventListener("mousedown", () => (pressed = new Promise(press)));
  addEventListener("focusout", (event) => check(event.target));
  addEventListener("change", ({ target: field }) => {
    check(field);
    if (!field.form || !isCountry(field)) return;
    for (const phone of bare(field.form).elements) if (isPhone(phone)) check(phone, (of(phone).checked = ""));
  });
  addEventListener("input", ({ target: field }) => {
    const state = of(field);
    if (!field.form || !target(field.form)) return;
    of(field.form).edited = true;
    if (state.note || field.matches("[aria-invalid=true]")) say(field, { valid: true });
    state.checked = "";
  });
  addEventListener("reset", ({ target: form }) => {
    for (const field of bare(form).elements) if (of(field).note) say(field, { valid: true });
  });
  addEventListener("online", resume);
  addEventListener("pagehide", () => ours().forEach(free));
  const start = ({ persisted }) => {
    resume();
    ours().forEach(persisted ? clear : touches); // "persisted": back as it was left
    // A page of problems that the service made: its summary goes with the last of them too.
    for (const form of ours()) of(form).problems ||= [...bare(form).querySelectorAll("[aria-invalid=true]")];
  };
  addEventListener("pageshow", start);
  if (document.readyState == "complete") start({});
})();
