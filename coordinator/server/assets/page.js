// Keeps an open page up to date: listens to the event stream, loads the same address again after a change, and replaces the parts
// that differ. A page in the background closes its stream.
"use strict";

const sweep = document.body.dataset.sweep;
let since = document.body.dataset.since;
let stream = null;
let timer = null;
let lastLoad = 0;
/** Milliseconds between two loads: a page that takes long is loaded less often. */
let pause = 500;

function say(text) {
  const status = document.getElementById("connection");
  if (status.textContent !== text) status.textContent = text;
}

/** What users have opened, selected and focused in a part, which its replacement keeps. */
function kept(part) {
  const ids = (selector) => new Set(Array.from(part.querySelectorAll(selector), (one) => one.id));
  return { open: ids("details[open][id]"), checked: ids("input:checked[id]"), focus: document.activeElement?.id };
}

function replace(part, fresh) {
  const { open, checked, focus } = kept(part);
  const scrolled = Array.from(part.querySelectorAll(".wide"), (one) => one.scrollLeft);
  fresh.querySelectorAll("details[id]").forEach((one) => { one.open = open.has(one.id); });
  fresh.querySelectorAll("input[id]").forEach((one) => { one.checked = checked.has(one.id); });
  part.replaceChildren(...fresh.childNodes);
  part.querySelectorAll(".wide").forEach((one, place) => { one.scrollLeft = scrolled[place] ?? 0; });
  const focused = focus && document.getElementById(focus);
  if (focused && part.contains(focused)) focused.focus({ preventScroll: true });
}

async function load() {
  timer = null;
  const began = performance.now();
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok) {
      say(answer.status === 404 ? "this no longer exists" : "cannot be loaded now");
      return;
    }
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const next = fresh.getElementById(part.id);
      const text = next?.innerHTML;
      // What was shown last is compared as text, because users open and select things in what is shown.
      if (next && part.shown !== text) {
        if (part.shown !== undefined || part.innerHTML !== text) replace(part, next);
        part.shown = text;
      }
    }
    document.title = fresh.title;
  } catch {
    say("no connection");
  }
  lastLoad = performance.now();
  pause = Math.max(500, 10 * (lastLoad - began));
}

/** Loads the page soon, and not too often. */
function changed() {
  if (timer === null && !document.hidden) {
    timer = setTimeout(load, Math.max(0, lastLoad + pause - performance.now()));
  }
}

function listen() {
  stream = new EventSource(`/events?since=${encodeURIComponent(since)}`);
  stream.addEventListener("open", () => say(""));
  stream.addEventListener("error", () => {
    say("no connection");
    // A refused stream is not opened again by the browser.
    if (stream?.readyState === EventSource.CLOSED) setTimeout(() => { if (!document.hidden) { hush(); listen(); } }, 2000);
  });
  stream.addEventListener("change", (event) => {
    say("");
    since = event.lastEventId;
    const { sweeps, everything } = JSON.parse(event.data);
    if (everything || (sweep === "" ? sweeps.length > 0 : sweeps.includes(sweep))) changed();
  });
}

function hush() {
  stream?.close();
  stream = null;
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    hush();
    clearTimeout(timer);
    timer = null;
  } else if (stream === null) {
    listen();
  }
});

// One list of values is open at a time; Escape closes it.
document.addEventListener("toggle", (event) => {
  if (event.target.matches?.("details.choice, details.command") && event.target.open) {
    document.querySelectorAll("details.choice[open], details.command[open]").forEach((one) => {
      if (one !== event.target) one.open = false;
    });
  }
}, true);
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const open = document.activeElement?.closest?.("details.choice[open], details.command[open]");
  if (open) {
    open.open = false;
    open.querySelector("summary").focus();
  }
});

if (since !== undefined && !document.hidden) listen();
