/* The status page. Everything that is shown is made of text nodes: what strangers have said never becomes markup.
   What cannot be seen (controls, invisible and direction-changing characters) is shown by its code. */
"use strict";

const $ = (id) => document.getElementById(id);
const NAMES = { "mercury-s": "MercuryS", "mercury-c": "MercuryC", "mercury-e": "MercuryE" };
const ROLES = { "mercury-s": "receives, delivers here", "mercury-c": "relays", "mercury-e": "delivers to the world" };
const VERBS = {
  retry: { label: "Send now", ask: "Try to send", done: "is tried now" },
  hold: { label: "Hold", ask: "Hold", done: "held" },
  release: { label: "Release", ask: "Release", done: "released" },
  bounce: { label: "Return to sender", ask: "Return to the sender", done: "returned", grave: true,
    text: "Its sender gets a report and it leaves the queue. This cannot be undone." },
  remove: { label: "Remove", ask: "Remove", done: "removed", grave: true, text: "It is not sent, and nobody is told. It can be undone while the trash keeps it." },
  undelete: { label: "Put back", ask: "Put back", done: "put back" },
};
const LONGEST = 600;
const state = { me: null, source: null, parts: {}, span: "hour", list: [], chosen: new Set(), undo: null, opener: null, asked: 0 };

// ---- making things ----

function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [event, heard] of Object.entries(value)) node.addEventListener(event, heard);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

function svg(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb\ud800-\udfff]/g;

function visible(text, longest = LONGEST) {
  const whole = String(text ?? "");
  const cut = whole.length > longest ? whole.slice(0, longest) + `… (${whole.length} characters)` : whole;
  // Pairs of surrogates are one character and stay.
  return cut.replace(/[\ud800-\udbff][\udc00-\udfff]|[\s\S]/g, (one) =>
    one.length > 1 ? one : one.replace(UNSEEN, (bad) => "\\u{" + bad.codePointAt(0).toString(16) + "}"));
}

/* Text of others: isolated, so that its direction does not turn what stands around it. */
const said = (text, longest) => el("bdi", {}, visible(text, longest));

function put(place, ...nodes) {
  const focused = place.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const scrolled = new Map([...place.querySelectorAll("[data-scroll]")].map((node) => [node.dataset.scroll,
    node.scrollHeight - node.scrollTop - node.clientHeight < 8 ? Infinity : node.scrollTop]));
  place.replaceChildren(...nodes.flat());
  for (const node of place.querySelectorAll("[data-scroll]")) node.scrollTop = Math.min(scrolled.get(node.dataset.scroll) ?? Infinity, node.scrollHeight);
  if (focused) [...place.querySelectorAll("[data-key]")].find((node) => node.dataset.key === focused)?.focus({ preventScroll: true });
}

function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

const ago = (at) => span(Date.now() / 1000 - at);
const clock = (at) => new Date(at * 1000).toLocaleTimeString([], { hour12: false });
const moment = (at) => new Date(at * 1000).toLocaleString([], { hour12: false });
const due = (at) => (at === null ? "" : at * 1000 <= Date.now() ? "due now" : `in ${span(at - Date.now() / 1000)}`);

//  A K is 1024 everywhere, as in the configuration.
function octets(size) {
  if (!(size >= 1000)) return `${size ?? 0} B`;
  const [scale, unit] = [[2 ** 10, "KiB"], [2 ** 20, "MiB"], [2 ** 30, "GiB"]].find(([one]) => size < 999.5 * one) ?? [2 ** 30, "GiB"];
  return `${(size / scale).toFixed(size < 9.95 * scale ? 1 : 0)} ${unit}`;
}

const count = (number, one, many) => `${number} ${number === 1 ? one : many}`;
const query = (fields) => new URLSearchParams(Object.entries(fields).filter(([, value]) => value !== "" && value !== null && value !== undefined)).toString();
const link = (hash, ...children) => el("a", { href: "#" + hash, "data-key": hash }, ...children);
const idLink = (id) => (id ? el("a", { href: "#message/" + encodeURIComponent(id), class: "mono", "data-key": "id-" + id }, visible(id, 40)) : "");
const number = (...children) => el("td", { class: "number" }, ...children);
const WIDTHS = { Id: "tight", State: "word", Client: "word", Age: "tight", Size: "tight", When: "tight", Times: "tight", Last: "tight", Messages: "tight", From: "name", To: "name", "Last error": "long", Reason: "long", Said: "long" };
const cell = (label, ...children) => el("td", { "data-label": label, role: "cell", class: WIDTHS[label] }, ...children);

/* Roles are said, as they are lost where a phone shows the rows as blocks. */
function table(caption, heads, rows, kind) {
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    el("table", { class: kind, role: "table" }, el("caption", {}, caption),
      el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, heads.map((head) => el("th", { scope: "col", role: "columnheader" }, head)))),
      el("tbody", { role: "rowgroup" }, rows)));
}

// ---- asking ----

async function ask(path, body) {
  const options = body === undefined ? {} : { method: "POST", body: JSON.stringify(body),
    headers: { "Content-Type": "application/json", "X-Mercury-Token": state.me ? state.me.token : "" } };
  const answer = await fetch(path, { ...options, cache: "no-store" });
  const told = await answer.json().catch(() => ({ error: "no answer that can be read" }));
  if (answer.status === 401) leave();
  if (!answer.ok) throw new Error(told.error || `answer ${answer.status}`);
  return told;
}

function notice(text, undo) {
  state.undo = undo || null;
  $("notice-text").textContent = text;
  $("undo").hidden = !undo;
  $("notice").hidden = !text;
}

// ---- in and out ----

function enter(me) {
  state.me = me;
  $("person").textContent = `${visible(me.person, 80)} (${me.role})`;
  for (const id of ["views", "who", "live"]) $(id).hidden = false;
  listen();
  route();
}

function leave() {
  state.me = null;
  state.source?.close();
  for (const id of ["views", "who", "live"]) $(id).hidden = true;
  for (const id of ["daemons", "plot", "problems", "shape", "list", "message", "found"]) $(id).replaceChildren();
  state.parts = {};
  state.list = [];
  state.chosen.clear();
  notice("");
  show("login");
}

function listen() {
  state.source?.close();
  const source = new EventSource("/api/stream");
  state.source = source;
  const live = (isLive) => { $("live").textContent = isLive ? "live" : "no connection"; $("live").classList.toggle("off", !isLive); };
  source.onopen = () => live(true);
  source.onerror = () => {
    live(false);
    // A refused stream is not opened again by itself: the login may be over.
    if (source.readyState === EventSource.CLOSED && state.me) setTimeout(() => ask("/api/me").then(() => state.source === source && listen()).catch(() => {}), 3000);
  };
  for (const part of ["daemons", "consoles", "plot", "warnings", "queue"]) {
    source.addEventListener(part, (event) => { live(true); state.parts[part] = JSON.parse(event.data); render(part); });
  }
}

$("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("login-error").textContent = "";
  try {
    const me = await ask("/api/login", { person: $("login-person").value, password: $("login-password").value });
    $("login-password").value = "";
    enter(me);
  } catch (error) {
    $("login-error").textContent = visible(error.message);
    $("login-password").focus();
  }
});

$("logout").addEventListener("click", () => ask("/api/logout", {}).catch(() => {}).then(leave));

// ---- which view ----

function place() {
  const [path, search] = location.hash.replace(/^#/, "").split("?");
  const [view, rest] = (path || "now").split("/");
  let id = "";
  try { id = decodeURIComponent(rest || ""); } catch { id = ""; }
  return { view, id, fields: Object.fromEntries(new URLSearchParams(search || "")) };
}

function show(view) {
  for (const section of document.querySelectorAll(".view")) section.hidden = section.id !== "view-" + view;
  for (const item of $("views").querySelectorAll("a")) {
    const isHere = item.getAttribute("href") === "#" + view;
    if (isHere) item.setAttribute("aria-current", "page"); else item.removeAttribute("aria-current");
  }
  document.title = { login: "Log in", now: "Now", queue: "Queue", find: "Find", message: "Message" }[view] + " – Mercury";
}

function route() {
  if (!state.me) return;
  const here = place();
  const view = ["now", "queue", "find", "message"].includes(here.view) ? here.view : "now";
  show(view);
  if (view === "now") for (const part of Object.keys(state.parts)) render(part);
  if (view === "queue") openQueue(here.fields);
  if (view === "message") openMessage(here.id);
  if (view === "find") openFind(here.fields);
}

addEventListener("hashchange", () => { route(); $("main").focus({ preventScroll: true }); scrollTo(0, 0); });
$("skip").addEventListener("click", (event) => { event.preventDefault(); $("main").focus(); });

// ---- now ----

function render(part) {
  const { view } = place();
  if (view === "queue" && part === "queue") return refreshQueue();
  if (view !== "now" && view !== "") return;
  if (part === "daemons" || part === "consoles") put($("daemons"), (state.parts.daemons || []).map(daemonPanel));
  if (part === "plot") put($("plot"), plot(state.parts.plot));
  if (part === "queue" || part === "warnings" || part === "daemons") put($("problems"), problems());
  if (part === "queue") put($("shape"), shape(state.parts.queue));
}

function daemonPanel(daemon) {
  const lines = (state.parts.consoles || {})[daemon.name] || [];
  const word = daemon.is_up ? "runs" : daemon.is_needed ? "down" : "not needed here";
  return el("section", { class: "daemon", "aria-labelledby": "t-" + daemon.name },
    el("h2", { id: "t-" + daemon.name }, NAMES[daemon.name], " ", el("span", { class: "hint" }, ROLES[daemon.name])),
    el("p", {}, el("span", { class: daemon.is_up ? "state" : daemon.is_needed ? "state down" : "hint" }, word), daemon.is_up && daemon.since ? ` for ${ago(daemon.since)}: ` : ": ", said(daemon.status)),
    daemon.trouble ? el("p", { class: "bad" }, said(daemon.trouble)) : null,
    sessions(daemon),
    el("h3", {}, "Last events"),
    lines.length
      ? el("ol", { class: "console", tabindex: "0", "data-scroll": daemon.name, "data-key": "console-" + daemon.name, "aria-label": `Last events of ${NAMES[daemon.name]}` },
        lines.map((line) => el("li", {}, clock(line.at), " ", el("b", {}, visible(line.event, 60)), " ", said(line.text, 400))))
      : el("p", { class: "hint" }, "Nothing has been said yet."));
}

const SESSION_WORDS = {
  state: (value) => `waits for ${visible(value, 80)}`, age: (value) => `here for ${span(value)}`, silent: (value) => `silent for ${span(value)}`,
  messages: (value) => count(value, "message", "messages"), busy: (value) => `${value} busy`, idle: (value) => `${value} idle`,
  open: (value) => count(value, "connection", "connections"), dialling: (value) => `${value} dialling`, waiting: (value) => `${count(value, "message waits", "messages wait")}`,
};

const NOT_WHEN_NONE = new Set(["busy", "idle", "dialling", "waiting"]);

function sessions(daemon) {
  const all = daemon.sessions || [];
  if (!all.length) return daemon.is_up ? el("p", { class: "hint" }, "Nobody is connected.") : null;
  const rows = all.map((one) => {
    const { client, next_hop: hop, id, ...rest } = one;
    const who = id ? idLink(String(id)) : said(client ?? hop ?? "", 80);
    const words = Object.entries(rest).filter(([key, value]) => value !== 0 || !NOT_WHEN_NONE.has(key)).map(([key, value]) => SESSION_WORDS[key] ? SESSION_WORDS[key](value) : `${key.replaceAll("_", " ")} ${visible(value, 80)}`);
    return el("tr", { role: "row" }, el("td", { role: "cell", class: "who" }, id ? "message " : "", who), el("td", { role: "cell" }, words.join(", ")));
  });
  return el("div", {}, table(sessionWords(all.length + (daemon.more || 0), daemon.name), ["Who", "What"], rows),
    daemon.more ? el("p", { class: "hint" }, `and ${daemon.more} more`) : null);
}

const sessionWords = (number_, name) => name === "mercury-s" ? count(number_, "session or delivery", "sessions and deliveries") : count(number_, "next hop or delivery", "next hops and deliveries");

function plot(data) {
  const series = data[state.span];
  const step = state.span === "hour" ? 60 : 900;
  const points = series[0].length;
  const most = Math.max(1, ...series.flat());
  const line = (values) => values.map((value, index) => `${((index / (points - 1)) * 600).toFixed(1)},${(150 - (value / most) * 145).toFixed(1)}`).join(" ");
  const sums = series.map((values) => values.reduce((sum, value) => sum + value, 0));
  const words = data.series.map((name, index) => `${sums[index]} ${name}`).join(", ");
  const from = data.until - (points - 1) * step;
  const picture = svg("svg", { class: "plot", viewBox: "0 0 600 155", preserveAspectRatio: "none", role: "img",
    "aria-label": `${state.span === "hour" ? "Last hour" : "Last day"}: ${words}` },
  ...[0, 0.5, 1].map((part) => svg("line", { class: "grid", x1: 0, x2: 600, y1: 150 - part * 145, y2: 150 - part * 145 })),
  ...data.series.map((name, index) => svg("polyline", { class: name, points: line(series[index]) })));
  return [
    el("p", { class: "hint" }, `Up to ${most} in ${state.span === "hour" ? "a minute" : "a quarter of an hour"}.`, data.since > from + step ? ` Counted since ${moment(data.since)}.` : ""),
    picture,
    el("p", { class: "axis" }, el("span", {}, clock(from)), el("span", {}, clock(data.until))),
    el("ul", { class: "legend" }, data.series.map((name, index) => el("li", { class: name }, `${name} ${sums[index]}`))),
  ];
}

for (const part of ["hour", "day"]) {
  $("span-" + part).addEventListener("click", () => {
    state.span = part;
    for (const other of ["hour", "day"]) $("span-" + other).setAttribute("aria-pressed", String(other === part));
    if (state.parts.plot) put($("plot"), plot(state.parts.plot));
  });
}

function problems() {
  const queue = state.parts.queue || { problems: [] };
  const rows = queue.problems.map((one) => {
    const to = one.domains.map((domain) => visible(domain, 80)).join(", ") + (one.more ? ` and ${one.more} more` : "");
    return el("tr", { role: "row" }, cell("Messages", link("queue?" + query({ site: one.site, group: one.group }), count(one.count, "message", "messages"))),
      cell("Site", said(one.site || "none", 80)), cell("Reason", said(one.reason, 300)), cell("For", said(to, 300)), cell("Next attempt", due(one.next)));
  });
  // A site need not run all three; one that does not is a problem when its configuration or mail that waits wants it.
  const waits = (lane) => ((queue.lanes || {})[lane] || {}).entries > 0;
  const down = (state.parts.daemons || []).filter((daemon) => !daemon.is_up)
    .filter((daemon) => daemon.is_needed || waits(daemon.name === "mercury-c" ? "relay" : "direct")).map((daemon) => NAMES[daemon.name]);
  const warnings = (state.parts.warnings || []).map((one) => el("tr", { role: "row" }, cell("Times", `${one.count} ×`), cell("Event", el("b", {}, visible(one.event, 60)), " ", said(one.meaning)),
    cell("Last", clock(one.at)), cell("Said", said(one.text, 300))));
  return [
    queue.trouble ? el("p", { class: "bad" }, "The queue cannot be read: ", said(queue.trouble)) : null,
    down.length ? el("p", { class: "bad" }, `Not running on this host, and needed: ${down.join(", ")}.`) : null,
    rows.length ? table("Mail that waits after an attempt, by reason", ["Messages", "Site", "Reason", "For", "Next attempt"], rows, "stack") : el("p", {}, "No mail waits because of an error."),
    warnings.length ? table("Warnings of the last hour", ["Times", "Event", "Last", "Said"], warnings, "stack") : null,
  ].filter(Boolean);
}

function shape(queue) {
  const lanes = Object.entries(queue.lanes).map(([lane, one]) => `${lane === "hold" ? "held" : lane === "trash" ? "removed" : lane} ${one.entries}` +
    (one.entries ? ` (${octets(one.octets)}, oldest ${ago(one.oldest)})` : ""));
  const most = Math.max(1, ...queue.sites.flatMap((row) => row.counts));
  const rows = queue.sites.map((row) => el("tr", { role: "row" }, el("th", { scope: "row", role: "rowheader" }, row.site === "?" ? "not read yet" : said(row.site || "none", 80)),
    row.counts.map((number_, step) => {
      const heat = number_ ? 1 + Math.min(2, Math.floor((3 * Math.log(number_ + 1)) / Math.log(most + 2))) : 0;
      const inside = number_ && row.site !== "?" ? link("queue?" + query({ site: row.site, step }) + (row.site === "" ? "&site=" : ""), String(number_)) : el("span", {}, number_ ? String(number_) : "·");
      if (number_ && inside.tagName === "A") inside.setAttribute("aria-label", `${number_} of site ${visible(row.site || "none", 80)}, ${queue.ages[step]}`);
      return el("td", { class: `number heat-${heat}`, role: "cell" }, inside);
    })));
  return [
    el("p", {}, lanes.join(" · "), queue.free !== null && queue.free !== undefined ? ` · ${octets(queue.free)} free on the disk` : ""),
    rows.length ? table("Messages that wait", ["Site", ...queue.ages], rows, "shape") : el("p", {}, "Nothing waits."),
    queue.known < queue.entries ? el("p", { class: "hint" }, `Sites and reasons of ${queue.known} of ${queue.entries} are known so far.`) : null,
  ].filter(Boolean);
}

// ---- queue ----

const keyOf = (entry) => `${entry.lane}/${entry.id}`;

function openQueue(fields) {
  $("filter-text").value = fields.text || "";
  $("filter-lane").value = fields.lane || "";
  const words = [];
  if ("site" in fields) words.push(el("span", {}, "site ", said(fields.site || "none", 80)));
  if (fields.step) words.push(el("span", {}, "age ", ((state.parts.queue || {}).ages || [])[fields.step] || "chosen"));
  if (fields.group) words.push(el("span", {}, "reason ", said(fields.group)));
  put($("filters"), words.length ? ["Only ", ...words.flatMap((word, index) => (index ? [", ", word] : [word])), ". ", link("queue", "Show all")] : []);
  state.chosen.clear();
  loadQueue();
}

let waiting = null;
function refreshQueue() {
  if (waiting || $("ask").open) return;
  waiting = setTimeout(() => { waiting = null; if (place().view === "queue" && state.me) loadQueue(); }, 1500);
}

async function loadQueue() {
  const asked = ++state.asked;
  const fields = place().fields;
  const wanted = query(fields) + ("site" in fields && !fields.site ? "&site=" : "");
  try {
    const told = await ask("/api/queue?" + wanted);
    if (asked !== state.asked) return;
    state.list = told.entries;
    const present = new Set(state.list.map(keyOf));
    for (const key of state.chosen) if (!present.has(key)) state.chosen.delete(key);
    put($("list"), listTable(told.is_more));
  } catch (error) {
    if (state.me) put($("list"), el("p", { class: "error" }, said(error.message)));
  }
  renderActions();
}

function listTable(isMore) {
  if (!state.list.length) return [el("p", {}, "Nothing waits here.")];
  const all = el("input", { type: "checkbox", "aria-label": "Choose all that are shown", "data-key": "all", on: { change: (event) => {
    state.chosen = new Set(event.target.checked ? state.list.map(keyOf) : []);
    for (const box of $("list").querySelectorAll("tbody input")) box.checked = event.target.checked;
    renderActions();
  } } });
  all.checked = state.list.every((entry) => state.chosen.has(keyOf(entry)));
  const rows = state.list.map((entry) => {
    const key = keyOf(entry);
    const box = el("input", { type: "checkbox", "aria-label": `Choose ${visible(entry.id, 40)}`, "data-key": "box-" + key, on: { change: () => {
      if (box.checked) state.chosen.add(key); else state.chosen.delete(key);
      renderActions();
    } } });
    box.checked = state.chosen.has(key);
    const to = entry.to.length ? entry.to : entry.settled;
    return el("tr", { role: "row" }, state.me.role === "operator" ? cell(null, box) : null, cell("Id", idLink(entry.id)), cell("Age", ago(entry.arrived)), cell("Size", octets(entry.size)),
      cell("From", said(entry.from || "<>", 120)), cell("To", said(to[0] || "", 120), to.length > 1 ? ` and ${to.length - 1} more` : ""),
      cell("State", stateText(entry)), cell("Last error", said(entry.last_error, 300)));
  });
  const heads = ["Id", "Age", "Size", "From", "To", "State", "Last error"];
  const caption = `${count(state.list.length, "message", "messages")}${isMore ? ", and there are more" : ""}`;
  return [state.me.role === "operator" ? el("p", { class: "hint" }, el("label", {}, all, " all that are shown")) : null,
    table(caption, state.me.role === "operator" ? ["Chosen", ...heads] : heads, rows, "stack")].filter(Boolean);
}

function stateText(entry) {
  const words = { hold: "held", trash: "removed" }[entry.lane] || (entry.state === "waiting" ? `${entry.lane}, ${due(entry.next_attempt)}` : `${entry.lane}, ${entry.state}`);
  return visible(words + (entry.attempts ? `, tried ${entry.attempts}×` : ""), 120);
}

function verbsFor(entries) {
  const lanes = new Set(entries.map((entry) => entry.lane));
  const only = (lane) => entries.length > 0 && lanes.size === 1 && lanes.has(lane);
  const isQueued = entries.length > 0 && !lanes.has("trash");
  return { retry: isQueued && !lanes.has("hold"), hold: isQueued && !lanes.has("hold"), release: only("hold"), bounce: isQueued, remove: isQueued, undelete: only("trash") };
}

function actionButtons(entries, prefix) {
  if (state.me.role !== "operator") return [];
  const able = verbsFor(entries);
  return Object.entries(VERBS).filter(([verb]) => verb !== "undelete" || able.undelete)
    .map(([verb, words]) => el("button", { type: "button", "data-key": prefix + verb, "data-verb": verb, disabled: !able[verb], on: { click: (event) => begin(verb, entries, event.currentTarget) } }, words.label));
}

function renderActions() {
  const entries = state.list.filter((entry) => state.chosen.has(keyOf(entry)));
  put($("actions"), actionButtons(entries, "act-"));
  $("chosen").textContent = state.me?.role === "operator" ? (entries.length ? `${count(entries.length, "message", "messages")} chosen` : "Choose messages to act on them.") : "You may look, not act.";
}

$("filter").addEventListener("submit", (event) => {
  event.preventDefault();
  const { site, step, group } = place().fields;
  const hash = "#queue?" + query({ text: $("filter-text").value.trim(), lane: $("filter-lane").value, site, step, group });
  if (location.hash === hash) loadQueue(); else location.hash = hash;
});

// ---- acting ----

function begin(verb, entries, opener) {
  const words = VERBS[verb];
  state.opener = opener.dataset.key;
  $("ask-title").textContent = `${words.ask}: ${count(entries.length, "message", "messages")}?`;
  $("ask-text").textContent = words.text || "";
  $("ask-label").textContent = words.grave ? "Why" : "Why (may be left out)";
  $("ask-reason").required = Boolean(words.grave);
  $("ask-reason").value = "";
  $("ask-yes").textContent = words.label;
  $("ask-form").onsubmit = (event) => {
    event.preventDefault();
    $("ask").close();
    carryOut(verb, entries.map(({ id, lane }) => ({ id, lane })), $("ask-reason").value);
  };
  $("ask").showModal();
  $("ask-reason").focus();
}

$("ask-no").addEventListener("click", () => $("ask").close());
$("ask").addEventListener("close", () => document.querySelector(`[data-key="${state.opener}"]`)?.focus());

async function carryOut(verb, entries, reason) {
  notice("Working…");
  try {
    const told = await ask("/api/act", { verb, entries, reason });
    const wrong = told.ends.filter((end) => end.wrong);
    const good = told.ends.length - wrong.length;
    const parts = [];
    if (good) parts.push(`${count(good, "message", "messages")}: ${VERBS[verb].done}.`);
    if (wrong.length) parts.push(`${wrong.length} not: ${wrong.slice(0, 3).map((end) => visible(`${end.id} ${end.wrong}`, 200)).join("; ")}`);
    notice(parts.join(" ") || "Nothing was found to do; it has left the queue.", told.undo);
  } catch (error) {
    if (state.me) notice(visible(error.message));
  }
  state.chosen.clear();
  const here = place();
  if (state.me && here.view === "queue") loadQueue();
  if (state.me && here.view === "message") openMessage(here.id);
}

$("undo").addEventListener("click", () => {
  const undo = state.undo;
  if (undo) carryOut(undo.verb, undo.entries, "undone on the status page");
});
$("dismiss").addEventListener("click", () => { notice(""); $("main").focus({ preventScroll: true }); });

// ---- one message ----

async function openMessage(id) {
  $("message-title").textContent = "Message " + visible(id, 40);
  try {
    put($("message"), message(await ask("/api/message?" + query({ id }))));
  } catch (error) {
    if (state.me) put($("message"), el("p", { class: "error" }, said(error.message)));
  }
}

function message(told) {
  const fields = (entry) => [["State", stateText(entry)], ["From", entry.from || "<>"], ["To", entry.to.join(", ")], ["Done", entry.settled.join(", ")], ["Arrived", moment(entry.arrived)], ["Size", octets(entry.size)],
    ["Site", entry.site], ["Client", entry.client], ["Login", entry.login], ["Last error", entry.last_error]].filter(([, value]) => value);
  const panels = told.entries.map((entry) => el("section", { class: "panel" }, el("h2", {}, `In the queue: ${visible(entry.lane, 20)}`),
    el("dl", {}, fields(entry).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, said(value, 4000))])),
    el("div", { class: "row", role: "group", "aria-label": "What to do with this message" }, actionButtons([entry], `one-${entry.lane}-`))));
  if (!told.entries.length) panels.push(el("p", {}, told.steps.length ? "It is no longer in the queue." : "Nothing is known of it; its history may be over."));
  const bad = /failed|bounced|expired|deferred|refused|discarded/;
  const good = /delivered|accepted|finished/;
  const steps = told.steps.map((step) => {
    const { at, daemon, event, ...rest } = step;
    const words = Object.entries(rest).map(([key, value]) => el("span", {}, el("span", { class: "hint" }, visible(key, 40) + " "), said(value, 2000), " "));
    return el("li", { class: bad.test(event) ? "bad" : good.test(event) ? "good" : null }, el("time", { datetime: new Date(at * 1000).toISOString() }, moment(at)), " ", NAMES[daemon] || visible(daemon, 40), ": ",
      el("b", {}, visible(event, 60).replaceAll("-", " ")), el("br"), words);
  });
  return [...panels, steps.length ? el("section", { class: "panel" }, el("h2", {}, "Trail"), el("ol", { class: "trail" }, steps)) : null].filter(Boolean);
}

// ---- find ----

function openFind(fields) {
  $("search-text").value = fields.text || "";
  if (fields.days) $("search-days").value = fields.days;
  put($("found"));
  $("found-note").textContent = "";
  if (fields.text) find(fields);
}

async function find(fields) {
  const asked = ++state.asked;
  $("found-note").textContent = "Searching…";
  try {
    const told = await ask("/api/find?" + query(fields));
    if (asked !== state.asked) return;
    $("found-note").textContent = told.messages.length ? `${count(told.messages.length, "result", "results")}${told.is_more ? ", the newest" : ""}` : "Nothing was found.";
    const rows = told.messages.map((one) => el("tr", { role: "row" }, cell("When", moment(one.at)), cell("Id", idLink(one.id)), cell("State", visible(one.state, 20)), cell("From", said(one.from, 120)),
      cell("To", said(one.to.slice(0, 3).join(", "), 240), one.recipients > 3 ? ` and ${one.recipients - 3} more` : ""), cell("Client", said(one.client, 80)), cell("Subject", one.subject ? said(one.subject, 200) : ""), cell("Last answer", said(one.reply || one.reason, 300))));
    put($("found"), told.messages.length ? table("Messages, the newest first", ["When", "Id", "State", "From", "To", "Client", "Subject", "Last answer"], rows, "stack") : []);
  } catch (error) {
    if (state.me) $("found-note").textContent = visible(error.message);
  }
}

$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const hash = "#find?" + query({ text: $("search-text").value.trim(), days: $("search-days").value });
  if (location.hash === hash) openFind(place().fields); else location.hash = hash;
});

ask("/api/me").then(enter).catch(() => { if (!state.me) leave(); });
