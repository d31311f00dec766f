/* What makes a page nicer where there is JavaScript; nothing here is needed to read or to decide.
   1. Times are shown in the reader's own time zone, in the format they have without JavaScript.
   2. Regions marked data-live are read again every few seconds: a form that is due appears, one that is over goes.
      What was typed is kept, changes are announced, and a lost connection or session is said.
   3. A form is sent once, however often its button is clicked.
   4. Lists and decisions can be worked from the keyboard. */
"use strict";

const EVERY_MS = 4000;
const LANGUAGE = document.documentElement.dataset; /* the page's own months and order of a day */
const MONTHS = LANGUAGE.months.split("|");
const ZONE = new Intl.DateTimeFormat("en-US", { timeZoneName: "short" });

/* 1. Times */

function localTime(moment) {
  const zone = ZONE.formatToParts(moment).find((part) => part.type === "timeZoneName").value;
  const two = (number) => String(number).padStart(2, "0");
  const parts = { d: moment.getDate(), MMM: MONTHS[moment.getMonth()], y: moment.getFullYear() };
  const day = LANGUAGE.day.replace(/MMM|d|y/g, (letters) => parts[letters]);
  return `${day}, ${two(moment.getHours())}:${two(moment.getMinutes())} ${zone}`;
}

function localTimes(root) {
  for (const element of root.querySelectorAll("time[datetime*=T]")) {
    if (element.title) continue;
    element.title = element.textContent;
    element.textContent = localTime(new Date(element.dateTime));
  }
}

/* 2. Live regions */

let failures = 0;

function said(text) {
  const place = document.getElementById("said");
  if (place.textContent !== text) place.textContent = text;
}

function warn(kind) {
  for (const notice of document.querySelectorAll("#lost [data-kind]")) notice.hidden = notice.dataset.kind !== kind;
}

function comparable(region) {
  /* Ids that differ in every rendering of the same page are no change. */
  return region.innerHTML.replace(/(name="(?:message_id|csrf)" value=")[^"]*/g, "$1");
}

function gist(region) {
  const texts = [...region.querySelectorAll("h1, h2, h3")].map((heading) => heading.textContent.trim());
  const forms = [...region.querySelectorAll("form")].map((form) => form.getAttribute("action"));
  return JSON.stringify([texts, forms]);
}

function keyOf(field) {
  const form = field.form ? field.form.getAttribute("action") : "";
  const step = field.form && field.form.elements.namedItem("step");
  return [form, step ? step.value : "", field.name, field.type === "checkbox" ? field.value : ""].join("|");
}

const FIELDS = "textarea, select, input:not([type=hidden])";

function valueOf(field) {
  return field.type === "checkbox" ? String(field.checked) : field.value;
}

function typedIn(region, fresh) {
  /* What differs from the page as it would be opened now: what somebody typed, here or before it was refused. */
  const opened = new Map([...fresh.querySelectorAll(FIELDS)].map((field) => [keyOf(field), valueOf(field)]));
  const typed = new Map();
  for (const field of region.querySelectorAll(FIELDS)) {
    const before = opened.get(keyOf(field));
    const usual = before === undefined ? "" : before;
    if (valueOf(field) !== usual) typed.set(keyOf(field), field);
  }
  return typed;
}

function exchange(region, fresh) {
  const typed = typedIn(region, fresh);
  const opened = new Set([...region.querySelectorAll("details[open] > summary")].map((summary) => summary.textContent));
  const at = region.contains(document.activeElement) ? document.activeElement : null;
  const focused = at && at.name ? keyOf(at) : null;
  const [from, to] = at && at.tagName === "TEXTAREA" ? [at.selectionStart, at.selectionEnd] : [0, 0];
  region.innerHTML = fresh.innerHTML;
  for (const summary of region.querySelectorAll("details > summary")) {
    if (opened.has(summary.textContent)) summary.parentElement.open = true;
  }
  for (const field of region.querySelectorAll(FIELDS)) {
    const before = typed.get(keyOf(field));
    if (before) {
      if (field.type === "checkbox") field.checked = before.checked;
      else field.value = before.value;
      typed.delete(keyOf(field));
    }
    if (focused === keyOf(field)) {
      field.focus({ preventScroll: true });
      if (field.tagName === "TEXTAREA") field.setSelectionRange(from, to);
    }
  }
  keep([...typed.values()].filter((field) => field.tagName === "TEXTAREA" && field.value.trim()));
}

function keep(fields) {
  /* Words that somebody typed into a form that is over are shown, to be copied; they are never sent. */
  if (!fields.length) return;
  const box = document.getElementById("kept");
  box.querySelector("pre").textContent = fields.map((field) => field.value).join("\n\n");
  box.hidden = false;
}

async function refresh() {
  const regions = [...document.querySelectorAll("[data-live]")];
  if (!regions.length || document.hidden) return;
  const address = document.body.dataset.from || location.pathname + location.search;
  const answer = await fetch(address, { headers: { Accept: "text/html" }, redirect: "manual" });
  if (answer.type === "opaqueredirect") {
    warn("session");
    return;
  }
  if (answer.status >= 500) throw new Error(`status ${answer.status}`);
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (failures > 1) said(document.getElementById("said").dataset.connected);
  failures = 0;
  warn("");
  const csrf = page.querySelector("input[name=csrf]");
  if (csrf) for (const field of document.querySelectorAll("input[name=csrf]")) field.value = csrf.value;
  let news = "";
  for (const region of regions) {
    const fresh = page.getElementById(region.id);
    if (!fresh) continue;
    localTimes(fresh);
    const before = gist(region);
    if (comparable(fresh) === comparable(region)) continue;
    exchange(region, fresh);
    if (region.id !== "nav" && gist(region) !== before) {
      const heading = region.querySelector("h1, h2, h3");
      news = heading ? heading.textContent.trim() : "";
    }
  }
  if (news) said(`${document.getElementById("said").dataset.updated} ${news}`);
}

function lost() {
  failures += 1;
  if (failures > 1) warn("connection");
}

/* 3. Forms */

function sendOnce(event) {
  const form = event.target;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
  for (const button of form.querySelectorAll("button")) button.setAttribute("aria-disabled", "true");
}

/* 4. Keyboard */

function choose(step) {
  const rows = [...document.querySelectorAll("[data-key]")];
  if (!rows.length) return;
  const now = rows.findIndex((row) => row.contains(document.activeElement));
  const next = rows[Math.min(rows.length - 1, Math.max(0, now < 0 ? 0 : now + step))];
  next.querySelector("a").focus();
  next.scrollIntoView({ block: "nearest" });
}

function chosen() {
  const at = document.activeElement;
  return at ? at.closest("[data-key]") : null;
}

const KEYS = {
  j: () => choose(1),
  k: () => choose(-1),
  a: () => decide("approve"),
  r: () => decide("reject"),
  x: () => {
    const row = chosen();
    const box = row && row.querySelector("input[type=checkbox]");
    if (box) box.click();
  },
  "?": () => {
    const help = document.getElementById("keys");
    if (!help) return;
    help.open = !help.open;
    help.querySelector("summary").focus();
    help.scrollIntoView({ block: "nearest" });
  },
};

function decide(what) {
  /* Nothing is decided by one key: it leads to the button or the reason, and Enter there decides. */
  const row = chosen();
  if (row) location.assign(`${row.querySelector("a").getAttribute("href").split("#")[0]}#${what}`);
  else ready(what);
}

function ready(what) {
  const place = ["approve", "reject"].includes(what) && document.getElementById(what);
  if (!place) return;
  place.focus();
  place.scrollIntoView({ block: "center" });
}

function pressed(event) {
  const at = event.target;
  const typing = at.matches("textarea, select, input:not([type=checkbox])") || at.isContentEditable;
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
}

localTimes(document);
document.addEventListener("submit", sendOnce);
document.addEventListener("keydown", pressed);
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  ready(location.hash.slice(1));
});
setInterval(() => refresh().catch(lost), EVERY_MS);
