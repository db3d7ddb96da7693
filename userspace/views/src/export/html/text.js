// Numbers and names as text. Names come from strangers: they only ever become text nodes, and what would hide or turn
// the text around it is spelled out.

const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/gu;

function clean(text) {
  const spell = (c) => {
    const code = c.codePointAt(0);
    return code < 0x80 ? "\\x" + code.toString(16).padStart(2, "0") : "\\u{" + code.toString(16) + "}";
  };
  return String(text).replace(UNSEEN, spell);
}

/** Three digits that matter. */
function digits(value) {
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 100) return value.toFixed(0);
  if (size >= 10) return value.toFixed(1);
  return value.toFixed(2);
}

function time(ns) {
  if (ns === null || ns === undefined) return null;
  const size = Math.abs(ns);
  for (const [unit, limit] of [["ns", 1], ["\u00b5s", 1e3], ["ms", 1e6], ["s", 1e9]].reverse()) {
    if (size >= limit || unit === "ns") return digits(ns / limit) + "\u202f" + unit;
  }
  return null;
}

function count(value) {
  if (value === null || value === undefined) return null;
  if (Math.abs(value) < 1e6) return grouped(Number.isInteger(value) ? value : digits(value));
  for (const [unit, size] of [["T", 1e12], ["G", 1e9], ["M", 1e6]]) {
    if (Math.abs(value) >= size) return digits(value / size) + unit;
  }
  return String(value);
}

function grouped(value) {
  const [whole, rest] = String(value).split(".");
  return whole.replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f") + (rest ? "." + rest : "");
}

function bytes(value) {
  if (value === null || value === undefined) return null;
  for (const [unit, size] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]]) {
    if (Math.abs(value) >= size) return digits(value / size) + "\u202f" + unit;
  }
  return digits(value) + "\u202fB";
}

function percent(value) {
  return value === null || value === undefined ? null : digits(value) + "\u202f%";
}

/** How each unit of a comparison is written. */
const UNITS = {
  ns: time, count, bytes, percent,
  per_second: (value) => count(value) + "/s",
  cycles: (value) => count(value) + "\u202fcyc",
};

function date(unixNs) {
  return new Date(unixNs / 1e6).toISOString().replace("T", " ").slice(0, 19) + " UTC";
}
