// Distributions, overlaid: how much lies below each time, and which time each share stays below.

const COLOURS = 8;
const DASHES = ["", "7 3", "2 3", "9 3 2 3"];
const SHARES = [0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999];

/** Steps of a distribution: at each upper end of a bucket, the share of values up to there. */
function steps(hist) {
  const total = hist.buckets.reduce((sum, bucket) => sum + bucket[2], 0);
  let below = 0;
  return hist.buckets.map(([low, high, n]) => {
    const from = below / total;
    below += n;
    return {
      low: Math.max(low, 0.5), high: Math.max(Math.min(high, hist.max + 1), low + 0.5, 1),
      from, to: below / total,
    };
  });
}

function shareBelow(hist, value) {
  let share = 0;
  for (const step of steps(hist)) {
    if (value >= step.high) share = step.to;
    else if (value > step.low) share = step.from + (step.to - step.from) * (value - step.low) / (step.high - step.low);
  }
  return share;
}

/** The value that the JSON's own quantiles would give: the middle of the bucket, within minimum and maximum. */
function valueAt(hist, share) {
  const step = steps(hist).find((it) => it.to >= share - 1e-12);
  return step ? Math.min(Math.max((step.low + step.high) / 2, hist.min), hist.max) : null;
}

const NINES = (share) => -Math.log10(1 - Math.min(share, 1 - 1e-7));

/** A plot with its axes; `x` and `y` are {from, to, at(value), ticks: [[value, text]]}. */
function frame(width, x, y) {
  const height = Math.round(Math.min(300, Math.max(210, width * 0.52)));
  const box = { left: 52, right: width - 12, top: 10, bottom: height - 26 };
  const px = (value) => box.left + (x.at(value) - x.from) / (x.to - x.from || 1) * (box.right - box.left);
  const py = (value) => box.bottom - (y.at(value) - y.from) / (y.to - y.from || 1) * (box.bottom - box.top);
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  let last = -1e9;
  for (const [value, text] of x.ticks) {
    root.append(svg("line", { class: "grid", x1: px(value), x2: px(value), y1: box.top, y2: box.bottom }));
    if (px(value) - last < 42) continue;
    last = px(value);
    const end = px(value) > box.right - 14;
    root.append(svg("text", {
      x: end ? width : px(value), y: height - 8, "text-anchor": end ? "end" : "middle",
    }, text));
  }
  for (const [value, text] of y.ticks) {
    root.append(svg("line", { class: "grid", x1: box.left, x2: box.right, y1: py(value), y2: py(value) }));
    root.append(svg("text", { x: box.left - 6, y: py(value) + 4, "text-anchor": "end" }, text));
  }
  root.append(svg("line", { class: "axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }));
  return { root, box, px, py };
}

/** A logarithmic axis of times that holds all values, from one round number to another. */
function logAxis(hists, many) {
  const low = Math.min(...hists.map((it) => Math.max(it.min, 1)));
  const high = Math.max(...hists.map((it) => Math.max(it.max, 2)));
  const round = [];
  for (let power = 0; power < 20; power += 1) [1, 2, 5].forEach((first) => round.push(first * 10 ** power));
  const from = round.findLast((value) => value <= low);
  const to = round.find((value) => value >= high && value > from);
  const inside = round.filter((value) => value >= from && value <= to);
  const decades = inside.filter((value) => Number.isInteger(+Math.log10(value).toFixed(9)));
  const few = inside.length <= many ? inside : decades;
  const step = Math.max(1, Math.ceil(few.length / (many + 1)));
  return { from: Math.log10(from), to: Math.log10(to), at: (value) => Math.log10(Math.max(value, 0.5)),
    ticks: few.filter((_, at) => at % step === 0).map((value) => [value]) };
}

const labelled = (axis, write) => ({ ...axis, ticks: axis.ticks.map(([value]) => [value, write(value)]) });
const tidy = (write) => (value) => write(value).replace(/\.0+(?=\D|$)/, "").replace(/(\.\d)0(?=\D)/, "$1");

function draw(plot, points, at) {
  plot.root.append(svg("polyline", {
    class: "line", points: points.map((it) => it.map((n) => n.toFixed(1)).join(",")).join(" "),
    stroke: `var(--s${at % COLOURS})`, "stroke-dasharray": DASHES[Math.floor(at / 2) % DASHES.length] }));
}

function cumulative(width, series, write) {
  const shares = {
    from: 0, to: 1, at: (value) => value, ticks: [0, 0.25, 0.5, 0.75, 1].map((it) => [it, it * 100 + " %"]),
  };
  const plot = frame(width, labelled(logAxis(series.map((it) => it.hist), 8), tidy(write)), shares);
  series.forEach(({ hist, colour }) => {
    const points = [[plot.px(Math.max(hist.min, 1)), plot.py(0)]];
    for (const step of steps(hist)) points.push(
      [plot.px(Math.max(step.low, hist.min)), plot.py(step.from)],
      [plot.px(Math.min(step.high, Math.max(hist.max, 1))), plot.py(step.to)],
    );
    points.push([plot.box.right, plot.py(1)]);
    draw(plot, points, colour);
  });
  return plot;
}

function percentiles(width, series, write) {
  const deepest = Math.max(...series.map((it) => it.hist.count));
  const ticks = SHARES.filter((share) => share === 0 || 1 / (1 - share) <= deepest * 1.01)
    .map((it) => [it, it === 0 ? "0" : String(+(it * 100).toFixed(4))]);
  const shares = { from: 0, to: Math.min(7, Math.max(1, Math.log10(deepest))), at: NINES, ticks };
  const plot = frame(width, shares, labelled(logAxis(series.map((it) => it.hist), 6), tidy(write)));
  series.forEach(({ hist, colour }) => {
    const points = [];
    for (const step of steps(hist)) {
      const value = Math.min(Math.max((step.low + step.high) / 2, hist.min), hist.max);
      const to = Math.min(NINES(step.to), Math.max(1, Math.log10(hist.count)), shares.to);
      points.push(
        [plot.px(step.from), plot.py(value)],
        [plot.box.left + to / shares.to * (plot.box.right - plot.box.left), plot.py(value)],
      );
    }
    draw(plot, points, colour);
  });
  return plot;
}
