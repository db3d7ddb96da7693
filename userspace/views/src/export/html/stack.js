// Bars whose parts add up to a whole.

/** rows: [{label, sum, parts: [{key, name, value, colour}]}]; lengths are shares of the largest, or each of its own. */
function stacks(rows, write, own) {
  const largest = Math.max(...rows.map((row) => row.sum), 1);
  const names = new Map();
  rows.forEach((row) => row.parts.forEach((part) => names.set(part.name, part.colour)));
  const legend = el("div", { class: "legend" },
    [...names].map(([name, colour]) => el("span", {}, swatch(colour, true), clean(name))));
  const bars = rows.map((row) => {
    const whole = own ? Math.max(row.sum, 1) : largest;
    const track = row.parts.filter((part) => part.value > 0).map((part) => el("span", {
      style: `width:${(part.value / whole * 100).toFixed(3)}%;background:var(--${part.colour})`,
      title: clean(`${part.name}: ${write(part.value)} (${digits(part.value / Math.max(row.sum, 1) * 100)} %)`),
      "data-part": part.key, "data-v": part.value,
    }));
    return el("div", { class: "one", "data-k": row.key },
      el("div", { class: "who", title: clean(row.label) }, clean(row.label)),
      el("div", {
        class: "track", role: "img",
        "aria-label": clean(row.parts.map((it) => `${it.name} ${write(it.value)}`).join(", ")),
      }, track),
      el("div", { class: "sum" }, write(row.sum)));
  });
  return el("div", {}, legend, el("div", { class: "stack" }, bars));
}
