// Times in the region's zone, values in the units that people there read.
import { current, locale } from "./words.js";

let region = null;
export const use = (answer) => { region = answer; };

const shift = (at) => new Date(at.getTime() + (region?.utc_offset_s ?? 0) * 1000);

export const zoneName = () => region?.timezone ?? "UTC";

export function time(iso, zone = true) {
  if (!iso) return "";
  const text = new Intl.DateTimeFormat(locale(), { timeZone: "UTC", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" })
    .format(shift(new Date(iso)));
  return `\u2068${text}${zone ? ` ${zoneName()}` : ""}\u2069`;
}

// What stands below a mark on the axis of times: the hour, and the day where it begins; ``step`` is what lies between two marks.
export function tick(seconds, step, first) {
  const at = shift(new Date(seconds * 1000));
  const written = (options) => new Intl.DateTimeFormat(locale(), { timeZone: "UTC", ...options }).format(at);
  const day = written({ day: "numeric", month: "short" });
  if (step >= 86400) return day;
  const hour = written({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  return first || (at.getUTCHours() === 0 && at.getUTCMinutes() === 0) ? `${hour}\n${day}` : hour;
}

// A date whose browser-local fields are those of the region's clock: what uPlot prints on its axis.
export function plotted(seconds) {
  const at = shift(new Date(seconds * 1000));
  return new Date(at.getTime() + at.getTimezoneOffset() * 60000);
}

const UNIT = { degC: "°C", degF: "°F" };
const DIGITS = { discharge: 0, flash_flood: 0, heat_index: 1, wet_bulb: 1, rain: 0, rain_1h: 0, rain_3h: 0, rain_6h: 0, rain_24h: 0, rain_72h: 0 };

// What a value is in the unit that people there read.
export function scale(quantity) {
  const { unit, names, per_si, zero } = region?.units?.[quantity] ?? { unit: "", per_si: 1, zero: 0 };
  return { unit: UNIT[unit] ?? names?.[current()] ?? unit, shown: (value) => value * per_si + (zero ?? 0) };
}

export const quantityOf = (parameter) => (parameter in (region?.units ?? {}) ? parameter : "discharge");

export function number(value, quantity) {
  const digits = DIGITS[quantity] ?? 2;
  return new Intl.NumberFormat(locale(), { maximumFractionDigits: digits, minimumFractionDigits: digits }).format(value);
}

export const isolated = (text) => `\u2068${text}\u2069`;

// Isolated (U+2068 ... U+2069), so that a number and its unit keep their order inside Urdu.
export function amount(value, quantity) {
  if (value === null || value === undefined) return "–";
  const { unit, shown } = scale(quantity);
  return `\u2068${number(shown(value), quantity)} ${unit}\u2069`;
}

export function span(seconds) {
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `\u2068${minutes} min\u2069` : `\u2068${Math.round(minutes / 60)} h\u2069`;
}
