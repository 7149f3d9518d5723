// A user's own page: it holds the token, asks for what is the user's, and shows it.
//
// The token comes behind the # of the address, which no browser sends anywhere. It is taken out of the
// address at once and kept for this tab alone: a cookie would be shared by the tabs of two users, and
// is none in a frame of another site.
"use strict";

const KEPT = "sidecar-portal-token";
const EVERY_MS = 60000;
const NEVER_MS = 20000;
const PLACES = ["loading", "closed", "expired", "trouble", "view"];

const at = (id) => document.getElementById(id);
let token = "";
let asked = 0;
let days = "30";

function kept(change) {
  try {
    return change(window.sessionStorage) || "";
  } catch {
    return ""; // In some frames there is no storage: then it lives as long as the page.
  }
}

function take() {
  const found = /^#(?:.*&)?token=([\w.-]+)$/.exec(window.location.hash);
  if (!found) return kept((store) => store.getItem(KEPT));
  window.history.replaceState(null, "", window.location.pathname);
  kept((store) => store.setItem(KEPT, found[1]));
  return found[1];
}

function show(...places) {
  for (const place of PLACES) at(place).hidden = !places.includes(place);
}

function say(text) {
  at("said").textContent = text;
}

function forget(place, text) {
  token = "";
  kept((store) => store.removeItem(KEPT));
  at("view").replaceChildren();
  show(place);
  say(text);
}

function fill(html) {
  const focused = document.activeElement && document.activeElement.id;
  const opened = [...document.querySelectorAll("#view details[open]")].map((each) => each.id);
  const page = new DOMParser().parseFromString(html, "text/html");
  for (const time of page.querySelectorAll("time")) {
    const style = time.dataset.day === undefined ? "short" : undefined;
    const form = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: style });
    time.textContent = form.format(new Date(time.dateTime));
  }
  at("view").replaceChildren(...page.body.childNodes);
  for (const id of opened) if (at(id)) at(id).open = true;
  if (focused && at(focused)) at(focused).focus({ preventScroll: true });
}

function fail(text) {
  at("why").textContent = text;
  show("trouble", ...(at("view").childNodes.length ? ["view"] : []));
  say(text);
}

async function load(spoken) {
  if (!token) return;
  const turn = ++asked;
  const isFirst = !at("view").childNodes.length;
  if (isFirst) show("loading");
  at("view").setAttribute("aria-busy", "true");
  let answer, html;
  try {
    answer = await fetch("portal/view?days=" + days, {
      headers: { Authorization: "Bearer " + token },
      credentials: "omit",
      cache: "no-store",
      referrerPolicy: "no-referrer",
      signal: AbortSignal.timeout(NEVER_MS),
    });
    html = await answer.text();
  } catch {
    answer = null;
  }
  if (turn !== asked) return; // Another question is newer, or another user's.
  at("view").removeAttribute("aria-busy");
  if (answer && answer.status === 200) {
    fill(html);
    show("view");
    if (isFirst) say("Your plan and usage are shown.");
    else if (spoken) say(spoken);
  } else if (answer && (answer.status === 401 || answer.status === 403)) {
    forget("expired", "This page has expired. Open it again from your app.");
  } else {
    fail("Your figures cannot be had just now" + (isFirst ? "." : "; these are older."));
  }
}

function begin() {
  token = take();
  asked += 1;
  at("view").replaceChildren();
  if (token) load();
  else forget("closed", "Open this page from your app.");
}

document.addEventListener("change", (event) => {
  if (event.target.id !== "days") return;
  days = event.target.value;
  load("The last " + days + " days are shown.");
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) load();
});
window.addEventListener("hashchange", () => {
  if (/[#&]token=/.test(window.location.hash)) begin();
});
at("again").addEventListener("click", () => load("Your figures are shown again."));
window.setInterval(() => {
  if (!document.hidden) load();
}, EVERY_MS);
begin();
