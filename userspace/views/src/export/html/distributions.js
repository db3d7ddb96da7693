// The two plots of some series, with what lies under the pointer.

/** series: [{label, hist, colour}], in the order of the legend; write: how values are written; what: what they are. */
function distributions(list, write, what) {
  const figures = [
    `Share of values up to a ${what} (cumulative)`, `The ${what} at each percentile (the tail drawn large)`,
  ].map((caption) =>
    el("figure", {}, el("figcaption", {}, caption), el("div", {})));
  const legend = el("div", {});
  const node = el("div", {}, el("div", { class: "charts" }, figures), legend);
  let series = list;

  function under(plot, kind, event) {
    const bounds = plot.root.getBoundingClientRect();
    const at = (event.clientX - bounds.left) * plot.root.viewBox.baseVal.width / bounds.width;
    const inside = Math.min(Math.max(at, plot.box.left), plot.box.right);
    plot.line.setAttribute("x1", inside);
    plot.line.setAttribute("x2", inside);
    plot.line.setAttribute("visibility", "visible");
    const part = (inside - plot.box.left) / (plot.box.right - plot.box.left);
    const where = plot.span[0] + part * (plot.span[1] - plot.span[0]);
    if (kind === 0) {
      const value = 10 ** where;
      tell("\u2264 " + write(value), (hist) => percent(shareBelow(hist, value) * 100));
    } else {
      const share = 1 - 10 ** -where;
      tell("p" + +(share * 100).toFixed(3),
        (hist) => hist.count * (1 - share) >= 0.999 ? write(valueAt(hist, share)) : "too few");
    }
  }

  function tell(head, of) {
    legend.querySelector("th.here").textContent = head;
    legend.querySelectorAll("td.here").forEach((td, at) => { td.textContent = of(series[at].hist); });
  }

  function describe() {
    const names = ["count", "mean", "p50", "p90", "p99", "p999", "max"];
    const titles = ["count", "mean", "p50", "p90", "p99", "p99.9", "max"];
    const head = el("tr", {}, el("th", { class: "name" }, "distribution"),
      titles.map((it) => el("th", {}, it)), el("th", { class: "here" }, "at the pointer"));
    const rows = series.map(({ label, hist, colour }) => el("tr", { "data-k": label },
      el("td", { class: "name", title: clean(label) }, swatchLine(colour), clean(label)),
      names.map((name) => el("td", { "data-f": name, "data-v": hist[name] },
        (name === "count" ? count : write)(hist[name]) ?? "\u2013")),
      el("td", { class: "here soft" }, "")));
    legend.replaceChildren(el("div", { class: "wide" },
      el("table", { class: "legend-table" }, el("thead", {}, head), el("tbody", {}, rows))));
  }

  function redraw() {
    [cumulative, percentiles].forEach((paint, kind) => {
      const holder = figures[kind].lastElementChild;
      const width = Math.max(280, holder.clientWidth || 560);
      if (!series.length) return holder.replaceChildren(el("p", { class: "soft" }, "nothing chosen"));
      const plot = paint(width, series, write);
      const hists = series.map((it) => it.hist);
      const axis = logAxis(hists, 8);
      const deepest = Math.max(...hists.map((it) => it.count));
      plot.span = kind === 0 ? [axis.from, axis.to] : [0, Math.min(7, Math.max(1, Math.log10(deepest)))];
      plot.line = svg("line", { class: "cursor", y1: plot.box.top, y2: plot.box.bottom, visibility: "hidden" });
      plot.root.append(plot.line);
      plot.root.setAttribute("aria-label",
        figures[kind].firstElementChild.textContent + ": " + series.map((it) => clean(it.label)).join(", "));
      plot.root.addEventListener("pointermove", (event) => under(plot, kind, event));
      holder.replaceChildren(plot.root);
    });
  }

  function show(next) {
    series = next;
    describe();
    redraw();
  }

  addEventListener("resize", () => redraw());
  return { node, show };
}

function swatchLine(colour) {
  const line = svg("line", { x1: 0, x2: 26, y1: 5, y2: 5, class: "line", stroke: `var(--s${colour % COLOURS})`,
    "stroke-dasharray": DASHES[Math.floor(colour / 2) % DASHES.length] });
  return el("span", { class: "swatch" }, svg("svg", { viewBox: "0 0 26 10" }, line));
}
