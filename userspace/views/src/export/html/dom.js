// Elements. Text goes in as text nodes, never as markup.

function el(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

function svg(name, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

/** A section with a heading, listed in the navigation. */
function section(title, ...children) {
  const id = title.toLowerCase().replace(/[^a-z]+/g, "-");
  document.querySelector("nav").append(el("a", { href: "#" + id }, title));
  const node = el("section", { id }, el("h2", {}, title), children.flat());
  document.querySelector("main").append(node);
  return node;
}

function facts(pairs) {
  const known = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return el("dl", { class: "facts" }, known.map(([name, value, raw]) =>
    el("div", {}, el("dt", {}, name), el("dd", { "data-v": raw }, clean(value)))));
}

function notes(list, kind) {
  return list.map((text) => el("p", { class: "note" + (kind ? " " + kind : "") }, clean(text)));
}

function swatch(colour, block) {
  return el("span", { class: "swatch" + (block ? " block" : ""), style: "background:var(--" + colour + ")" });
}
