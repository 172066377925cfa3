"use strict";
(() => {
  const { rows, percentiles } = JSON.parse(document.getElementById("results").textContent);
  const unique = (list) => [...new Set(list)];
  const names = unique(rows.map((r) => r.name));
  const charts = new Map();
  const narrow = window.matchMedia("(max-width: 40rem)");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const shade = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // A subject has the same colour in every chart; the reference is dashed.
  const colours = { "holdfast": 0, "holdfast-autopipe": 1, "scs": 2, "scs-locked": 3, "gorilla": 4, "rueidislock": 5, "limit": 6, "holdfast (local)": 7, "scs-fixed": 8, "holdfast (by method)": 9 };
  const colour = (name) => shade(`--c${colours[name] ?? names.indexOf(name) % 8}`);
  const line = (name, data, extra) => ({
    label: name, data, borderColor: colour(name), backgroundColor: colour(name),
    borderWidth: name.startsWith("holdfast") ? 3 : 1.75, borderDash: name.startsWith("limit") ? [6, 4] : [],
    pointRadius: 3, tension: 0, spanGaps: true, ...extra,
  });

  const time = (us) => (us >= 1e6 ? `${+(us / 1e6).toPrecision(3)} s` : us >= 1e3 ? `${+(us / 1e3).toPrecision(3)} ms` : `${+us.toPrecision(3)} µs`);
  const number = (v) => v.toLocaleString("en", { maximumFractionDigits: v < 10 ? 2 : v < 100 ? 1 : 0 });

  function axis(title, format, more) {
    return {
      title: { display: Boolean(title), text: title, color: shade("--soft") },
      ticks: { color: shade("--soft"), maxTicksLimit: 9, ...(format && { callback: format }) },
      grid: { color: shade("--rule") }, ...more,
    };
  }

  // Powers of ten, and half-way marks only where there are few of them.
  function decades(format) {
    return function (value) {
      const digit = Math.round(value / 10 ** Math.floor(Math.log10(value) + 1e-9));
      const wide = Math.log10(this.max / this.min) > 2.5;
      return digit === 1 || (!wide && (digit === 2 || digit === 5)) ? format(value) : "";
    };
  }

  function draw(id, type, labels, datasets, xTitle, yTitle, format, logarithmic) {
    charts.get(id)?.destroy();
    const y = logarithmic
      ? axis(yTitle, decades(format), { type: "logarithmic" })
      : axis(yTitle, (v) => format(v), { beginAtZero: true });
    if (logarithmic) y.ticks.maxTicksLimit = 40;
    charts.set(id, new Chart(document.getElementById(id), {
      type, data: { labels, datasets },
      options: {
        animation: false, responsive: true, maintainAspectRatio: false,
        interaction: { mode: "index", intersect: false },
        scales: { x: axis(xTitle), y },
        plugins: {
          legend: { position: "bottom", labels: { color: shade("--ink"), usePointStyle: true, boxHeight: 7, font: { size: narrow.matches ? 11 : 12 } } },
          tooltip: { itemSort: (a, b) => b.parsed.y - a.parsed.y, callbacks: { label: (c) => ` ${c.dataset.label}: ${format(c.parsed.y)}` } },
        },
      },
    }));
    document.getElementById(id).closest("figure").hidden = false;
  }

  function choose(id, values, redraw, label = (v) => v) {
    const select = document.getElementById(id);
    values.forEach((v) => select.add(new Option(label(v), v)));
    select.addEventListener("change", redraw);
    return () => select.value;
  }

  const redraws = [];
  function chart(list, build) {
    if (list.length === 0) return;
    const redraw = build(list);
    redraws.push(redraw);
    redraw();
  }
  const of = (scenario) => rows.filter((r) => r.scenario === scenario);
  const size = (bytes) => (bytes % 1000 === 0 ? `${bytes / 1000} kB` : `${bytes} B`);

  chart(of("rmw"), (list) => {
    const redraw = () => {
      const shown = list.filter((r) => String(r.payload) === payload());
      const workers = unique(shown.map((r) => r.workers));
      const value = (r) => r && (r[what()] || null);
      const sets = unique(shown.map((r) => r.name)).map((name) =>
        line(name, workers.map((w) => value(shown.find((r) => r.name === name && r.workers === w)))));
      draw("throughput", "line", workers, sets, "workers", "", number, false);
    };
    const payload = choose("throughput-payload", unique(list.map((r) => r.payload)), redraw, size);
    const labels = { ops_per_s: "operations per second", vs_scs: "compared with scs", vs_limit: "compared with the limit" };
    const what = choose("throughput-figure", Object.keys(labels), redraw, (v) => labels[v]);
    return redraw;
  });

  chart(rows.filter((r) => r.curve?.length), (list) => {
    const redraw = () => {
      const shown = list.filter((r) => r.title === title());
      draw("latency", "line", percentiles.map((p) => (p === 100 ? "max" : `p${p}`)), shown.map((r) => line(r.name, r.curve)), "", "", time, true);
    };
    const title = choose("latency-title", unique(list.map((r) => r.title)), redraw);
    return redraw;
  });

  chart(of("replicas"), (list) => {
    const redraw = () => {
      const nodes = unique(list.map((r) => r.nodes));
      const sets = unique(list.map((r) => `${r.name}\n${r.variant}`)).map((key) => {
        const [name, variant] = key.split("\n");
        const points = nodes.map((n) => list.find((r) => r.name === name && r.variant === variant && r.nodes === n)?.[what()] || null);
        return line(name, points, { label: `${name}, ${variant}`, borderDash: variant === "sticky" ? [2, 3] : [], pointStyle: variant === "sticky" ? "rect" : "circle" });
      });
      draw("replicas", "line", nodes, sets, "nodes", "", what().endsWith("_us") ? time : number, false);
    };
    const labels = { redis_cpu_us: "Redis CPU", client_cpu_us: "client CPU", round_trips: "round trips", bytes: "bytes on the wire", p99_us: "p99" };
    const what = choose("replicas-figure", Object.keys(labels), redraw, (v) => labels[v]);
    return redraw;
  });

  chart(of("contended"), (list) => {
    const redraw = () => {
      const shown = list.filter((r) => r.title === title());
      const bars = [["p50", "p50_us", 6], ["p99", "p99_us", 0], ["max", "max_us", 5]].map(([label, key, c]) =>
        ({ label, data: shown.map((r) => r[key]), backgroundColor: shade(`--c${c}`) }));
      draw("contended", "bar", shown.map((r) => (r.lost ? [r.name, `lost ${number(r.lost)}`] : r.name)), bars, "", "", time, true);
    };
    const title = choose("contended-title", unique(list.map((r) => r.title)), redraw);
    return redraw;
  });

  const all = () => redraws.forEach((redraw) => redraw());
  dark.addEventListener("change", all);
  narrow.addEventListener("change", all);
})();
