"use strict";
const $ = (id) => document.getElementById(id);
const AHEAD_MS = 5 * 60e3, TIMES = 5, MOST_WAITING = 500, PHOTO_PIXELS = 1600;
let known = null, photo = null, again = 15e3, timer = 0, skewed = 0, reached = true;

// --- words
let language = localStorage.language || "";
const word = (name, values = {}) => (WORDS[language][name] || name).replace(/\{(\w+)\}/g, (_, key) => `\u2068${values[key]}\u2069`);
const nameOf = (names) => names[language] || names.en || Object.values(names)[0];

function speak(wanted) {
  language = WORDS[wanted] ? wanted : "en";
  localStorage.language = language;
  document.documentElement.lang = language;
  document.documentElement.dir = language === "ur" ? "rtl" : "ltr";
  document.title = word("title");
  for (const each of document.querySelectorAll("[data-word]")) each.textContent = word(each.dataset.word);
  for (const each of document.querySelectorAll("#languages button")) each.setAttribute("aria-pressed", String(each.lang === language));
  $("unit").setAttribute("aria-label", word("value"));
  show();
}

function trouble(name, values) {
  $("trouble").hidden = !name;
  $("trouble").textContent = name ? word(name, values) : "";
}

// --- numbers: any digits, one decimal mark
function number(text) {
  const plain = text.trim().replace(/[٠-٩]/g, (d) => d.charCodeAt(0) - 0x660).replace(/[۰-۹]/g, (d) => d.charCodeAt(0) - 0x6f0)
    .replace(/[٫۔]/g, ".").replace(/[−–]/g, "-");
  if (/^-?\d{1,3}(,\d{2,3})*,\d{3}$/.test(plain) && (plain.match(/,/g).length > 1 || series().datum === "")) return Number(plain.replaceAll(",", ""));
  return /^-?\d{1,12}(\.\d{1,6})?$/.test(plain) ? Number(plain) : NaN;
}

// --- what is chosen
const station = () => known.stations.find((one) => one.id === $("station").value) || known.stations[0];
const series = () => station().series.find((one) => one.parameter === $("parameter").value) || station().series[0];
const unit = () => series().units.find((one) => one.unit === $("unit").value) || series().units[0];
const shown = (value, name) => `${value.toLocaleString("en", { maximumFractionDigits: 3 })} ${word(name)}`;

function options(select, values, chosen) {
  select.replaceChildren(...values.map(([value, text]) => new Option(text, value)));
  if (values.some(([value]) => value === chosen)) select.value = chosen;
}

function show() {
  if (!known) return;
  $("form").hidden = $("sent").hidden = false;
  $("exercise").hidden = !known.region.exercise;
  $("who").textContent = `${known.reader.name} · ${nameOf(known.region.names)}`;
  options($("station"), known.stations.map((one) => [one.id, nameOf(one.names)]), $("station").value || localStorage.station);
  $("station-field").hidden = known.stations.length < 2;
  showSeries();
  list();
}

function showSeries() {
  const usual = station().series.find((one) => one.usual);
  options($("parameter"), station().series.map((one) => [one.parameter, word(one.parameter)]), $("parameter").value || (usual && usual.parameter));
  $("parameter-field").hidden = station().series.length < 2;
  options($("unit"), series().units.map((one) => [one.unit, word(one.unit)]), $("unit").value || localStorage[`unit ${series().parameter}`]);
  showClass();
}

function showClass() {
  const value = number($("value").value), limits = series().levels, si = value * unit().factor + unit().zero;
  const level = Number.isNaN(value) || !limits.length ? "" : limits.filter((one) => si >= one.si).map((one) => one.level).pop() || "NORMAL";
  $("class").dataset.level = level;
  $("class").textContent = level && (known.classes[level] ? nameOf(known.classes[level]) : word(level));
}

// --- what is said
function reading() {
  const value = number($("value").value);
  if (Number.isNaN(value)) return wrong("no_number", "value");
  let at = new Date(Date.now() - Number(localStorage.ahead_ms || 0)); // now is now, whatever this phone's clock says
  if (document.querySelector("[name=when]:checked").value === "then") {
    if (!$("time").value) return wrong("no_time", "time");
    at = new Date($("time").value);
  }
  if (at.getTime() > Date.now() - Number(localStorage.ahead_ms || 0) + AHEAD_MS) return wrong("future", "time");
  at.setMilliseconds(0);
  const item = { station: station().id, parameter: series().parameter, time: stamp(at), value, unit: unit().unit };
  if (series().datum) item.datum = series().datum;
  return item;
}

function stamp(at) { // RFC 3339 with the zone of this phone
  const minutes = -at.getTimezoneOffset(), two = (n) => String(n).padStart(2, "0");
  const local = new Date(at.getTime() + minutes * 60e3).toISOString().slice(0, 19);
  return `${local}${minutes < 0 ? "-" : "+"}${two(Math.floor(Math.abs(minutes) / 60))}:${two(Math.abs(minutes) % 60)}`;
}

function wrong(name, field) {
  $("wrong").hidden = !name;
  $("wrong").textContent = name ? word(name) : "";
  if (field) $(field).focus();
  return null;
}

const lastOf = (item) => JSON.parse(localStorage[`last ${item.station} ${item.parameter}`] || "null");

function doubt(item) {
  const si = item.value * unit().factor + unit().zero, { least, greatest } = series(), last = lastOf(item), now = shown(item.value, item.unit);
  if ((least !== null && si < least) || (greatest !== null && si > greatest)) return word("sure_range", { now });
  const [small, large] = [Math.abs(si), Math.abs(last ? last.si : si)].sort((a, b) => a - b);
  return last && large > TIMES * Math.max(small, 1e-9) && large > 1 ? word("sure_last", { now, last: shown(last.value, last.unit) }) : "";
}

async function submit(event) {
  event.preventDefault();
  wrong("");
  const item = reading();
  if (!item) return;
  const question = doubt(item);
  if (!question) return void keep(item);
  $("sure-words").textContent = question;
  $("sure").hidden = false;
  $("sure-yes").onclick = () => keep(item);
  $("sure-yes").focus();
}

async function keep(item) {
  $("sure").hidden = true;
  if ((await Queue.all()).filter((one) => one.state === "queued").length >= MOST_WAITING) return void wrong("full");
  await Queue.add({ item, photo, at: Date.now() });
  localStorage[`last ${item.station} ${item.parameter}`] = JSON.stringify({ ...item, si: item.value * unit().factor + unit().zero });
  localStorage.station = item.station;
  localStorage[`unit ${item.parameter}`] = item.unit;
  $("value").value = ""; $("photo").value = ""; photo = null; $("preview").hidden = true;
  document.querySelector("[name=when][value=now]").checked = true;
  $("time").hidden = true;
  showClass();
  await list();
  flush();
}

// --- what became of it
async function list() {
  const rows = (await Queue.all()).reverse().slice(0, 30).map((one) => {
    const row = document.createElement("li"), what = document.createElement("span"), state = document.createElement("span");
    const place = known.stations.find((each) => each.id === one.item.station), at = new Date(one.item.time);
    const clock = `${at.getDate()} ${word("months").split(" ")[at.getMonth()]} ${String(at.getHours()).padStart(2, "0")}:${String(at.getMinutes()).padStart(2, "0")}`;
    what.textContent = `${place ? nameOf(place.names) : one.item.station} · ${shown(one.item.value, one.item.unit)} · ${clock}`;
    row.dataset.state = one.state;
    state.className = "state";
    state.textContent = word(one.state === "sent" && one.without ? "no_photo" : one.state);
    row.append(what, state);
    if (one.why) row.append(Object.assign(document.createElement("span"), { className: "why", textContent: one.why, lang: "en" }));
    return row;
  });
  $("queue").replaceChildren(...rows);
}

async function flush() {
  clearTimeout(timer);
  const how = await Queue.flush(list);
  await list();
  if (how === "offline" || (how === "done" && !reached)) {
    trouble("offline");
    timer = setTimeout(meet, again);
    again = Math.min(2 * again, 300e3);
    const registration = await navigator.serviceWorker?.getRegistration("/reader");
    registration?.sync?.register("readings").catch(() => {}); // a browser without it: the timer and the next visit do it
  } else {
    again = 15e3;
    trouble(how === "key" ? "bad_key" : skewed ? "clock" : "", { minutes: skewed });
  }
}

async function smaller(file) { // a phone's photo has 5 MB and more, the staff gauge is as legible in a tenth
  try {
    const picture = await createImageBitmap(file), scale = Math.min(1, PHOTO_PIXELS / Math.max(picture.width, picture.height));
    const canvas = Object.assign(document.createElement("canvas"), { width: picture.width * scale, height: picture.height * scale });
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    return await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.82)) || file;
  } catch { return file; }
}

async function meet() { // who am I? What was known stands in for an answer that does not come
  let key = location.hash.slice(1);
  if (/^fw_/.test(key)) {
    localStorage.reader_key = key;
    history.replaceState(null, "", "/reader");
  }
  key = localStorage.reader_key;
  if (!key) return trouble("no_key");
  await Queue.setMeta("key", key);
  known = JSON.parse(localStorage.known || "null");
  if (known) speak(language || known.reader.language);
  try {
    const asked = Date.now(), response = await fetch("/v1/reader", { headers: { Authorization: `Bearer ${key}` } });
    if (response.status === 401) return trouble("bad_key");
    if (response.status === 403) return trouble("not_reader");
    if (!response.ok) throw new Error(String(response.status));
    known = await response.json();
    reached = true;
    localStorage.known = JSON.stringify(known);
    const ahead = (asked + Date.now()) / 2 - known.server_ms; // ms
    skewed = Math.abs(ahead) > 120e3 ? Math.round(Math.abs(ahead) / 60e3) : 0;
    localStorage.ahead_ms = skewed ? Math.round(ahead) : 0;
    speak(localStorage.language || known.reader.language);
  } catch { reached = false; }
  await flush();
}

// --- begin
for (const each of document.querySelectorAll("#languages button")) each.addEventListener("click", () => speak(each.lang));
$("station").addEventListener("change", () => { $("parameter").value = ""; $("unit").value = ""; showSeries(); });
$("parameter").addEventListener("change", () => { $("unit").value = ""; showSeries(); });
$("unit").addEventListener("change", showClass);
$("value").addEventListener("input", () => { wrong(""); $("sure").hidden = true; showClass(); });
$("sure-no").addEventListener("click", () => { $("sure").hidden = true; $("value").focus(); });
for (const each of document.querySelectorAll("[name=when]")) each.addEventListener("change", () => { $("time").hidden = each.value !== "then"; });
$("photo").addEventListener("change", async () => {
  photo = $("photo").files[0] ? await smaller($("photo").files[0]) : null;
  $("preview").hidden = !photo;
  if (photo) $("preview").src = URL.createObjectURL(photo);
});
$("form").addEventListener("submit", submit);
addEventListener("online", meet);
addEventListener("visibilitychange", () => { if (!document.hidden) meet(); });
addEventListener("hashchange", () => location.reload());
navigator.serviceWorker?.register("/reader/worker.js", { scope: "/reader" });
navigator.storage?.persist?.();
speak(language || (navigator.language || "").slice(0, 2));
meet();
