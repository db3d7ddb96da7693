// Tables that sort. A cell is {text, value, raw} or a node with a value; `raw` is the number as the data has it.

function cell(text, value) {
  return { text: text === null || text === undefined ? null : text, value: value === undefined ? text : value };
}

function number(value, write) {
  return { text: write(value), value: value === undefined ? null : value, raw: value };
}

/**
 * columns: [{title, name: bool, hint}], rows: [{cells, pick, on, key}]; sorted by a column, numbers from the largest.
 */
function table(columns, rows, options) {
  const state = { by: options.sort, down: !options.up, filter: "", all: false };
  const shown = options.rows || 12;
  const body = el("tbody", {});
  const heads = columns.map((column, at) => el("th", {
    scope: "col", class: column.name ? "name" : null, title: column.hint,
  },
    el("button", { type: "button", onclick: () => sort(at) }, column.title)));
  const more = el("button", { type: "button", onclick: () => { state.all = !state.all; draw(); } });
  const filter = el("input", { type: "search", placeholder: "filter", "aria-label": "filter", oninput: (event) => {
    state.filter = event.target.value.toLowerCase();
    draw();
  } });

  function sort(at) {
    state.down = state.by === at ? !state.down : !columns[at].name;
    state.by = at;
    draw();
  }

  function ordered() {
    const kept = rows.filter((row) =>
      !state.filter || row.cells.some((it) => it.text && it.text.toLowerCase().includes(state.filter)));
    const sign = state.down ? -1 : 1;
    return kept.sort((left, right) => {
      const [a, b] = [left.cells[state.by].value, right.cells[state.by].value];
      // What is not known comes last in either order.
      if (a === null || b === null) return (a === null) - (b === null);
      return (typeof a === "string" ? a.localeCompare(b) : a - b) * sign;
    });
  }

  function line(row) {
    const cells = row.cells.map((it, at) => el("td", {
      class: columns[at].name ? "name" : null, "data-v": it.raw, title: columns[at].name ? it.text : null,
    },
      it.node ? it.node() : it.text === null ? el("span", { class: "none" }, "\u2013") : it.text));
    const pick = row.pick && {
      class: "pick", "aria-selected": row.on && row.on() ? "true" : "false",
      onclick: () => { row.pick(); draw(); },
    };
    return el("tr", { ...pick, "data-k": row.key }, cells);
  }

  function draw() {
    heads.forEach((head, at) => {
      if (at === state.by) head.setAttribute("aria-sort", state.down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    const list = ordered();
    body.replaceChildren(...(state.all ? list : list.slice(0, shown)).map(line));
    more.textContent = state.all ? "fewer" : "all " + list.length;
    more.hidden = list.length <= shown;
  }

  draw();
  const wide = el("div", { class: "wide", tabindex: 0 }, el("table", {}, el("thead", {}, el("tr", {}, heads)), body));
  const tools = rows.length > 6 ? el("div", { class: "bar" }, filter, more) : null;
  return { node: el("div", {}, tools, wide), draw };
}
