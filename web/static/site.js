/* What makes a page nicer where there is JavaScript; nothing here is needed to read or to decide.
   1. Times are shown in the reader's own time zone.
   2. Regions marked data-live are read again every few seconds, unless someone is at work in them.
   3. A form is sent once, however often its button is clicked. */
"use strict";

const EVERY_MS = 4000;

function localTimes(root) {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  for (const element of root.querySelectorAll("time[datetime*=T]")) {
    if (element.title) continue;
    element.title = element.textContent;
    element.textContent = format.format(new Date(element.dateTime));
  }
}

async function refresh() {
  const regions = [...document.querySelectorAll("[data-live]")];
  if (!regions.length || document.hidden) return;
  const answer = await fetch(location.pathname + location.search, { headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const region of regions) {
    const fresh = page.getElementById(region.id);
    if (!fresh || region.contains(document.activeElement)) continue;
    localTimes(fresh);
    if (fresh.innerHTML !== region.innerHTML) region.innerHTML = fresh.innerHTML;
  }
}

function sendOnce(event) {
  const form = event.target;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
  for (const button of form.querySelectorAll("button")) button.setAttribute("aria-disabled", "true");
}

localTimes(document);
document.addEventListener("submit", sendOnce);
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});
setInterval(() => refresh().catch(() => undefined), EVERY_MS);
