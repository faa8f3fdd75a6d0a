"use strict";
// Moves the view of the picture: whatever carries a time is put where that time is.
(() => {
  const svg = document.querySelector("#timeline svg");
  const left = Number(svg.dataset.left);
  const plot = Number(svg.dataset.plot);
  const first = { start: Number(svg.dataset.viewStart), end: Number(svg.dataset.viewEnd) };
  const extent = {
    start: Math.min(first.start, Number(svg.dataset.extentStart)),
    end: Math.max(first.end, Number(svg.dataset.extentEnd)),
  };
  const axis = svg.querySelector("#axis");
  const things = [...svg.querySelectorAll("[data-a], [data-at]")].map((node) => ({
    node,
    start: Number(node.dataset.a ?? node.dataset.at),
    end: Number(node.dataset.b ?? node.dataset.at),
    y: node.dataset.y,
    words: node.dataset.words?.split("|"),
  }));
  let view = { ...first };

  const x = (time) => left + (plot * (time - view.start)) / (view.end - view.start);

  const place = ({ node, start, end, y, words }) => {
    const outside = end < view.start || start > view.end;
    node.style.display = outside ? "none" : "";
    if (outside) return;
    if (y !== undefined) {
      node.setAttribute("transform", `translate(${x(start)} ${y})`);
    } else if (words) {
      const from = Math.max(x(start), left);
      const to = Math.min(x(end), left + plot);
      node.textContent = words.find((word) => word.length * 6.8 + 6 <= to - from) ?? "";
      node.setAttribute("x", (from + to) / 2);
    } else {
      // Browsers draw nothing of coordinates that are too large.
      const from = Math.max(x(start), left - 50);
      const to = Math.min(x(end), left + plot + 50);
      node.setAttribute("x", from);
      node.setAttribute("width", Math.max(to - from, 1));
    }
  };

  const units = [["s", 1e9], ["ms", 1e6], ["µs", 1e3], ["ns", 1]];

  const ruler = () => {
    const length = view.end - view.start;
    const [name, unit] = units.find(([, size]) => length >= size) ?? units[3];
    const rough = length / 9;
    const decade = 10 ** Math.floor(Math.log10(rough));
    const step = Math.max(1, decade * [1, 2, 5, 10].find((factor) => decade * factor >= rough));
    const { top, bottom } = axis.dataset;
    const marks = [];
    for (let time = view.start; time <= view.end; time += step) {
      const make = (tag, attributes) => {
        const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
        for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
        return node;
      };
      const at = x(time);
      marks.push(make("line", { class: "rule", x1: at, x2: at, y1: top, y2: Number(bottom) + 5 }));
      const label = make("text", { class: "faint mark", x: at, y: Number(bottom) + 18 });
      label.textContent = `${Number(((time - view.start) / unit).toFixed(3))} ${name}`;
      marks.push(label);
    }
    axis.replaceChildren(...marks);
  };

  const shown = document.querySelector("#shown");
  const show = (start, end) => {
    const length = Math.min(Math.max(end - start, 20), extent.end - extent.start);
    const begin = Math.min(Math.max(start, extent.start), extent.end - length);
    view = { start: begin, end: begin + length };
    things.forEach(place);
    ruler();
    shown.textContent = `${(begin / 1000).toFixed(3)} µs to ${(view.end / 1000).toFixed(3)} µs`;
  };

  const zoom = (factor, share) => {
    const length = view.end - view.start;
    const fixed = view.start + length * share;
    show(fixed - length * factor * share, fixed + length * factor * (1 - share));
  };

  const pan = (share) => {
    const shift = (view.end - view.start) * share;
    show(view.start + shift, view.end + shift);
  };

  // The share of the plot that a pointer is at, whatever size the picture is shown in.
  const share = (event) => {
    const box = svg.getBoundingClientRect();
    const position = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    return (position - left) / plot;
  };

  svg.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(event.deltaY > 0 ? 1.25 : 0.8, Math.min(Math.max(share(event), 0), 1));
  }, { passive: false });
  let held;
  svg.addEventListener("pointerdown", (event) => {
    held = share(event);
    svg.setPointerCapture(event.pointerId);
  });
  svg.addEventListener("pointermove", (event) => {
    if (held === undefined) return;
    const now = share(event);
    pan(held - now);
    held = now;
  });
  for (const end of ["pointerup", "pointercancel"]) {
    svg.addEventListener(end, () => { held = undefined; });
  }
  const actions = {
    in: () => zoom(0.5, 0.5),
    out: () => zoom(2, 0.5),
    earlier: () => pan(-0.25),
    later: () => pan(0.25),
    first: () => show(first.start, first.end),
    all: () => show(extent.start, extent.end),
  };
  for (const button of document.querySelectorAll("button[data-action]")) {
    button.addEventListener("click", actions[button.dataset.action]);
  }
  const keys = { "+": "in", "-": "out", ArrowLeft: "earlier", ArrowRight: "later", 0: "first" };
  document.addEventListener("keydown", (event) => actions[keys[event.key]]?.());
  show(first.start, first.end);
})();
