// Keeps an open page up to date: listens to the event stream, loads the same address again after a change, and replaces the parts
// that differ. A page in the background closes its stream.
"use strict";

const sweep = document.body.dataset.sweep;
let since = document.body.dataset.since;
let stream = null;
/** Whether something has changed that is not shown yet. */
let isStale = false;
let isLoading = false;
let timer = null;
let lastLoad = 0;
/** Milliseconds between two loads: a page that takes long is loaded less often. */
let pause = 500;
const PAUSE_MAX = 10000;
/** Milliseconds until a load that failed is tried again. */
const RETRY = 2000;

function say(text) {
  const status = document.getElementById("connection");
  if (status.textContent !== text) status.textContent = text;
}

/** The element of a part that stands for another one: with the same id, or the link with the same address. */
function counterpart(part, element) {
  if (element.id) return part.querySelector(`[id="${CSS.escape(element.id)}"]`);
  const same = (one) => one.getAttribute("href") === element.getAttribute("href") && one.textContent === element.textContent;
  return element.matches("a[href]") ? Array.from(part.querySelectorAll("a[href]")).find(same) : null;
}

/** Shows the fresh content of a part, and keeps what users have opened, selected and focused in it. */
function replace(part, fresh) {
  const ids = (selector) => new Set(Array.from(part.querySelectorAll(selector), (one) => one.id));
  const open = ids("details[open][id]");
  const scrolled = Array.from(part.querySelectorAll(".wide"), (one) => one.scrollLeft);
  const focused = part.contains(document.activeElement) ? document.activeElement : null;
  fresh.querySelectorAll("details[id]").forEach((one) => { one.open = open.has(one.id); });
  const next = focused && counterpart(fresh, focused);
  part.replaceChildren(...fresh.childNodes);
  part.querySelectorAll(".wide").forEach((one, place) => { one.scrollLeft = scrolled[place] ?? 0; });
  next?.focus({ preventScroll: true });
  showSelected();
}

function show(fresh) {
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
}

async function load() {
  timer = null;
  if (isLoading || document.hidden) return;
  [isLoading, isStale] = [true, false];
  const began = performance.now();
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (answer.ok) {
      show(new DOMParser().parseFromString(await answer.text(), "text/html"));
      if (stream?.readyState === EventSource.OPEN) say("");
    } else if (answer.status === 404) {
      say("this no longer exists");
    } else {
      throw new Error(answer.statusText);
    }
    lastLoad = performance.now();
    pause = Math.min(PAUSE_MAX, Math.max(500, 10 * (lastLoad - began)));
  } catch {
    say(stream?.readyState === EventSource.OPEN ? "cannot be loaded now" : "no connection");
    isStale = true;
    lastLoad = performance.now();
    pause = RETRY;
  }
  isLoading = false;
  if (isStale) soon();
}

/** Loads the page soon, and not too often. */
function soon() {
  isStale = true;
  if (timer === null && !isLoading && !document.hidden) {
    timer = setTimeout(load, Math.max(0, lastLoad + pause - performance.now()));
  }
}

function listen() {
  stream = new EventSource(`/events?since=${encodeURIComponent(since)}`);
  stream.addEventListener("open", () => { say(""); if (isStale) soon(); });
  stream.addEventListener("error", () => {
    say("no connection");
    // A refused stream is not opened again by the browser.
    if (stream?.readyState === EventSource.CLOSED) setTimeout(() => { if (!document.hidden) { hush(); listen(); } }, RETRY);
  });
  stream.addEventListener("change", (event) => {
    since = event.lastEventId;
    const { sweeps, reload } = JSON.parse(event.data);
    if (reload || (sweep === "" ? sweeps.length > 0 : sweeps.includes(sweep))) soon();
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
    if (isStale) soon();
  }
});

// Trials that are selected for a comparison stay selected on other pages of the table, until they are compared.
const SELECTED = `selected in ${sweep}`;

function selected() {
  return new Set(JSON.parse(sessionStorage.getItem(SELECTED) ?? "[]"));
}

function keep(trials) {
  sessionStorage.setItem(SELECTED, JSON.stringify([...trials]));
}

function showSelected() {
  const trials = selected();
  document.querySelectorAll("input[name=trial][type=checkbox]").forEach((one) => { one.checked = trials.has(one.value); });
  const count = document.getElementById("selected");
  if (count) count.textContent = trials.size === 0 ? "two to six trials" : `${trials.size} selected`;
}

document.addEventListener("change", ({ target }) => {
  if (!target.matches("input[name=trial][type=checkbox]")) return;
  const trials = selected();
  if (target.checked) trials.add(target.value); else trials.delete(target.value);
  keep(trials);
  showSelected();
});
document.addEventListener("submit", ({ target }) => {
  if (!target.action.endsWith("/compare")) return;
  const shown = new Set(Array.from(target.querySelectorAll("input[name=trial]:checked"), (one) => one.value));
  for (const trial of selected()) {
    if (!shown.has(trial)) target.append(Object.assign(document.createElement("input"), { type: "hidden", name: "trial", value: trial }));
  }
  keep([]);
});
window.addEventListener("pageshow", showSelected);

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
