// Keeps a page up to date, and draws its charts. The page is whole without it.
"use strict";

(() => {
  // What the server last said of each part that may change, as text: only what differs is touched.
  const said = new Map();
  const drawn = new Map();
  const quietly = window.matchMedia("(prefers-color-scheme: dark)");

  const living = (root) => root.querySelectorAll("[data-live]");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function remember() {
    said.clear();
    living(document).forEach((part) => said.set(part.id, part.outerHTML));
  }

  // -- keeping up to date ------------------------------------------------------------------------

  function merge(text) {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    const incoming = [...living(fresh)];
    const known = new Set([...living(document)].map((part) => part.id));
    const same = incoming.length === known.size && incoming.every((part) => known.has(part.id));
    if (!same) {
      // Something came or went: the whole content is replaced, once.
      const main = fresh.getElementById("main");
      if (main) replace(document.getElementById("main"), main.innerHTML);
      remember();
      drawAll();
      return;
    }
    for (const part of incoming) {
      const html = part.outerHTML;
      if (said.get(part.id) === html) continue;
      said.set(part.id, html);
      const now = document.getElementById(part.id);
      for (const { name, value } of part.attributes) now.setAttribute(name, value);
      if (part.dataset.chart !== undefined) {
        const legend = now.querySelector(".legend");
        if (legend) legend.innerHTML = part.querySelector(".legend").innerHTML;
        draw(now);
      } else {
        replace(now, part.innerHTML);
      }
    }
  }

  // Whoever stands on a link with the keyboard stays there.
  function replace(element, html) {
    const active = document.activeElement;
    const inside = active && element.contains(active) && active !== element;
    const id = inside ? active.id : "";
    const address = inside ? active.getAttribute("href") : null;
    const open = [...element.querySelectorAll("details[open] > summary")].map((it) => it.textContent);
    element.innerHTML = html;
    for (const summary of element.querySelectorAll("details > summary")) {
      if (open.includes(summary.textContent)) summary.parentElement.open = true;
    }
    if (window.htmx) window.htmx.process(element);
    if (!inside) return;
    const again = id
      ? document.getElementById(id)
      : [...element.querySelectorAll("a")].find((link) => link.getAttribute("href") === address);
    if (again) again.focus({ preventScroll: true });
  }

  function tell(text) {
    const trouble = document.getElementById("trouble");
    if (trouble && trouble.textContent !== text) trouble.textContent = text;
    document.body.classList.toggle("stale", text !== "");
  }

  function wait(text) {
    const told = document.getElementById("loading");
    if (told) told.textContent = text;
    const main = document.getElementById("main");
    if (main) main.toggleAttribute("aria-busy", text !== "");
  }

  // Whoever reads may want that nothing moves.
  let isPaused = false;
  const pause = document.getElementById("pause");
  if (pause) {
    pause.hidden = false;
    pause.addEventListener("click", () => {
      isPaused = !isPaused;
      pause.setAttribute("aria-pressed", String(isPaused));
      pause.textContent = isPaused ? "Paused" : "Pause";
      if (!isPaused && window.htmx) window.htmx.trigger("#main", "refresh");
    });
  }

  function clock() {
    return new Date().toISOString().slice(11, 19);
  }

  let latest = clock();

  const isPoll = (event) => event.detail.elt && event.detail.elt.id === "main";

  document.addEventListener("htmx:beforeRequest", (event) => {
    // Nobody sees it, or somebody is just reading it.
    if (isPoll(event) && (document.hidden || isSelecting() || isPaused)) event.preventDefault();
    else if (!isPoll(event)) wait("Loading …");
  });

  document.addEventListener("htmx:afterRequest", (event) => {
    const { xhr, successful } = event.detail;
    if (!isPoll(event)) {
      wait("");
      if (!successful && xhr.status !== 401) tell("The server does not answer. Nothing was changed.");
      return;
    }
    if (!document.contains(event.detail.elt)) return;
    if (successful) {
      merge(xhr.responseText);
      latest = clock();
      tell("");
    } else if (xhr.status !== 401) {
      tell(`The server does not answer. What is shown is of ${latest} UTC.`);
    }
  });

  document.addEventListener("htmx:afterSettle", () => {
    const main = document.getElementById("main");
    if (main && main.dataset.title) document.title = `${main.dataset.title} · Mozaiks sidecar`;
    remember();
    drawAll();
  });

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && window.htmx) window.htmx.trigger("#main", "refresh");
  });

  function isSelecting() {
    const selection = document.getSelection();
    return selection !== null && !selection.isCollapsed;
  }

  // -- charts ------------------------------------------------------------------------------------

  const few = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
  const all = new Intl.NumberFormat("en", { maximumFractionDigits: 6 });
  const months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
  const hue = (place) => (place < 7 ? colour(`--c${place + 1}`) : colour("--c0"));

  function drawAll() {
    for (const [id, plot] of drawn) {
      if (!document.contains(plot.root)) {
        plot.destroy();
        drawn.delete(id);
      }
    }
    document.querySelectorAll("[data-chart]").forEach(draw);
  }

  function draw(figure) {
    const { x, step, series } = JSON.parse(figure.dataset.chart);
    const place = figure.querySelector(".plot");
    const readout = figure.querySelector(".readout");
    const kept = drawn.get(figure.id);
    if (kept) kept.destroy();
    // Bars stand on one another: the tallest is drawn first, and each lower one over it.
    const sums = [];
    series.forEach((each, i) => {
      sums.push(each.values.map((value, at) => value + (i ? sums[i - 1][at] : 0)));
    });
    const bars = uPlot.paths.bars({ size: [0.82, 48], align: 1 });
    const ink = colour("--quiet");
    const font = "12px system-ui, sans-serif";
    const size = () => ({ width: place.clientWidth || 300, height: place.clientHeight || 200 });
    const plot = new uPlot(
      {
        ...size(),
        ms: 1e-3,
        tzDate: (at) => uPlot.tzDate(new Date(at * 1e3), "Etc/UTC"),
        legend: { show: false },
        cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
        padding: [8, 20, 0, 0],
        scales: {
          x: { time: true, range: () => [x[0], x[x.length - 1] + step] },
          y: { range: (_, low, high) => [0, high > 0 ? high * 1.06 : 1] },
        },
        axes: [
          {
            stroke: ink, font, size: 30, grid: { show: false }, ticks: { show: false },
            space: 64, incrs: [3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 1209600],
            values: (_, splits) => splits.map((at) => label(at, step, x)),
          },
          {
            stroke: ink, font, size: 52, ticks: { show: false },
            grid: { stroke: colour("--line"), width: 1 },
            values: (_, splits) => splits.map((value) => few.format(value)),
          },
        ],
        series: [
          {},
          ...series
            .map((each, i) => ({ label: each.name, fill: hue(i), width: 0, paths: bars, points: { show: false } }))
            .reverse(),
        ],
        hooks: {
          setCursor: [
            (self) => {
              const left = self.cursor.left;
              const at = left < 0 ? -1 : Math.floor((self.posToVal(left, "x") - x[0]) / step);
              readout.textContent = at < 0 || at >= x.length ? "" : spoken(x[at], step, series, at);
            },
          ],
        },
      },
      [x, ...sums.reverse()],
      place,
    );
    drawn.set(figure.id, plot);
    if (!figure.dataset.watched) {
      figure.dataset.watched = "1";
      new ResizeObserver(() => {
        const now = drawn.get(figure.id);
        if (now && document.contains(now.root)) now.setSize({ width: place.clientWidth || 300, height: place.clientHeight || 200 });
      }).observe(place);
    }
  }

  function label(at, step, x) {
    const day = new Date(at * 1e3).toISOString();
    const isLong = x.length * step > 172800;
    const date = `${months[Number(day.slice(5, 7)) - 1]} ${Number(day.slice(8, 10))}`;
    return isLong || day.slice(11, 16) === "00:00" ? date : day.slice(11, 16);
  }

  function spoken(at, step, series, place) {
    const start = new Date(at * 1e3).toISOString();
    const time = step < 86400 ? start.slice(5, 16).replace("T", " ") : start.slice(0, 10);
    const parts = series
      .filter((each) => each.values[place])
      .map((each) => `${each.name} ${all.format(each.values[place])}`);
    return `${time} · ${parts.length ? parts.join(" · ") : "nothing"}`;
  }

  quietly.addEventListener("change", drawAll);
  remember();
  drawAll();
})();
