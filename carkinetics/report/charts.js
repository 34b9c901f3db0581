"use strict";
// Charts: one subject at a time or all at once, with the sample under the pointer in words. The charting library is
// unpacked when the first chart comes near; until then, and where it cannot be unpacked, the pictures stand there.
(() => {
  const BLUE = "#0072B2", GREY = "#8C8C8C", BLACK = "#000000", VERMILION = "#D55E00", FAINT = "#D0D5DB";
  const PALETTE = [BLUE, "#E69F00", "#009E73", VERMILION, "#CC79A7", "#56B4E9", BLACK, GREY]; // as in our figures
  const SYMBOLS = { "": "circle", below: "triangle-down-open", above: "triangle-up-open" };
  const ALL = "All subjects", NARROW = 500; // CSS pixels: a phone

  // Plotly reads markup in its texts; an identifier is never markup.
  const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const shown = (number) => Number(number.toPrecision(6)).toString();

  let library = null;
  function plotly() {
    library ??= (async () => {
      const packed = document.getElementById("plotly").textContent;
      const bytes = Uint8Array.from(atob(packed), (c) => c.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
      const script = document.createElement("script");
      script.textContent = await new Response(stream).text(); // runs because the policy names its hash
      document.head.append(script);
      if (!window.Plotly) throw new Error("the charting library did not run");
      return window.Plotly;
    })();
    return library;
  }

  // A long follow-up stands on a square-root scale, which gives the first month room.
  const place = (data, day) => (data.root ? Math.sign(day) * Math.sqrt(Math.abs(day)) : day);

  const HOVER = "<b>%{customdata[0]}</b><br>day %{customdata[1]}<br>%{customdata[2]}<extra></extra>";

  function samples(data, one, colour, more) {
    return {
      type: "scatter", mode: "markers",
      x: one.day.map((day) => place(data, day)), y: one.level,
      customdata: one.day.map((day, i) => [plain(one.id), shown(day), plain(one.said[i])]),
      marker: {
        size: 8, symbol: one.state.map((state) => SYMBOLS[state]),
        color: one.state.map((state) => (state && colour === BLACK ? VERMILION : colour)), line: { width: 1.4, color: colour },
      },
      hovertemplate: HOVER, ...more,
    };
  }

  function curve(data, one, key, more) {
    return {
      type: "scatter", mode: "lines", x: data.times.map((day) => place(data, day)), y: one[key],
      customdata: data.times.map((day, i) => [plain(one.id), shown(day), one[key][i] === null ? "" : Number(one[key][i].toPrecision(3)).toString()]),
      ...more,
    };
  }

  // On a log axis zero has no place: a band that reaches it ends at the foot of the chart.
  const floored = (values, low) => values.map((value) => (value === null ? null : Math.max(value, low / 1e3)));

  function fitTraces(data, one, log) {
    const traces = [];
    if (one.low) {
      const edges = log ? { low: floored(one.low, data.levels[0]), high: floored(one.high, data.levels[0]) } : one;
      const edge = { hoverinfo: "skip", line: { width: 0 }, legendgroup: "band" };
      traces.push(curve(data, { ...one, ...edges }, "low", { ...edge, showlegend: false }));
      traces.push(curve(data, { ...one, ...edges }, "high",
        { ...edge, fill: "tonexty", fillcolor: "rgba(0, 114, 178, 0.2)", name: data.names.band }));
      traces.push(curve(data, one, "typical", {
        line: { color: GREY, width: 1.5, dash: "dash" }, name: "population, same covariates",
        hovertemplate: "population<br>day %{customdata[1]}<br>%{customdata[2]}<extra></extra>",
      }));
    }
    traces.push(curve(data, one, "curve", {
      line: { color: BLUE, width: 2 }, name: data.names.individual,
      hovertemplate: "fitted<br>day %{customdata[1]}<br>%{customdata[2]}<extra></extra>",
    }));
    traces.push(samples(data, one, BLACK, { showlegend: false }));
    return [...traces, ...symbolsNamed(data, BLACK, VERMILION)];
  }

  // A trace has one symbol in the legend, whatever its points have: each symbol gets an entry of its own.
  function symbolsNamed(data, exact, censored) {
    const entry = (state, name, color) => ({
      type: "scatter", mode: "markers", x: [null], y: [null], name,
      marker: { size: 8, color, symbol: SYMBOLS[state], line: { width: 1.4, color } },
    });
    const found = (state) => data.subjects.some((one) => one.state.includes(state));
    return [
      entry("", "observed", exact),
      ...(found("below") ? [entry("below", "BLQ, at the LLOQ", censored)] : []),
      ...(found("above") ? [entry("above", "above the ULOQ, at it", censored)] : []),
    ];
  }

  function profileTraces(data, chosen) {
    const colour = (one) => PALETTE[data.groups.indexOf(one.group) % PALETTE.length];
    const faint = (one) => chosen && one !== chosen;
    const ordered = [...data.subjects].sort((a, b) => Number(faint(b)) - Number(faint(a)));
    const traces = ordered.map((one) => {
      const ink = faint(one) ? FAINT : colour(one);
      const drawn = samples(data, one, ink, {
        mode: "lines+markers", line: { color: ink, width: one === chosen ? 2.4 : 1 }, showlegend: false,
        opacity: chosen || data.subjects.length < 15 ? 1 : 0.75,
      });
      drawn.marker.color = ink;
      drawn.marker.size = one === chosen ? 8 : 6;
      return drawn;
    });
    const groups = data.groups.filter((group) => group && data.subjects.some((one) => one.group === group)).map((group) => ({
      type: "scatter", mode: "lines", x: [null], y: [null], name: `dose ${plain(group)}`,
      line: { color: PALETTE[data.groups.indexOf(group) % PALETTE.length], width: 2.4 },
    }));
    return [...traces, ...groups, ...symbolsNamed(data, GREY, GREY)];
  }

  // Infusions at the foot, and events, of one subject.
  function marks(data, one) {
    const foot = (x, said, text, colour) => ({
      x: place(data, x), y: 0, yref: "paper", text, showarrow: false, yanchor: "bottom", hovertext: plain(said),
      font: { color: colour, size: 13 }, captureevents: true,
    });
    const doses = one.doses.map(([day, amount]) => foot(day, `infusion, day ${shown(day)}: ${amount}`, "▲", BLACK));
    const events = one.events.map(([day, name]) => foot(day, `${name}, day ${shown(day)}`, "◆", VERMILION));
    const lines = one.events.map(([day]) => ({
      type: "line", x0: place(data, day), x1: place(data, day), y0: 0, y1: 1, yref: "paper",
      line: { color: VERMILION, width: 1, dash: "dot" },
    }));
    return { annotations: [...doses, ...events], shapes: lines };
  }

  // Days whose labels do not touch.
  function spaced(data, width) {
    const kept = [];
    for (const day of data.days) {
      const apart = kept.length ? (place(data, day) - place(data, kept[kept.length - 1])) / place(data, data.last) : 1;
      if (apart * width >= 30) kept.push(day);
    }
    return kept;
  }

  function layout(data, one, log, width) {
    const [low, high] = data.levels;
    const narrow = width < NARROW;
    const first = data.root ? place(data, data.first) - 0.02 * Math.sqrt(data.last) : data.first - 0.02 * data.last;
    const own = one ? marks(data, one) : { annotations: [], shapes: [] };
    const limits = data.lloq.map((level) => ({
      type: "line", xref: "paper", x0: 0, x1: 1, y0: level, y1: level, line: { color: GREY, width: 1, dash: "dot" },
    }));
    const ticks = data.root ? spaced(data, width - 90) : undefined;
    const days = narrow ? "Days" : "Days since infusion";
    return {
      margin: { l: narrow ? 52 : 70, r: 12, t: 12, b: 50 }, hovermode: "closest", showlegend: true,
      legend: { orientation: "h", y: -0.2, font: { size: 12 }, itemclick: false, itemdoubleclick: false }, paper_bgcolor: "white", plot_bgcolor: "white",
      font: { family: "system-ui, sans-serif", size: narrow ? 12 : 13, color: "#1b1f24" },
      xaxis: {
        title: { text: `${days}${data.root ? " (square-root scale)" : ""}`, standoff: 8 }, tickangle: 0,
        range: [first, 1.03 * place(data, data.last)], gridcolor: "#E6E6E6", zeroline: false, tickfont: { size: 12 },
        ...(ticks ? { tickvals: ticks.map((day) => place(data, day)), ticktext: ticks.map(String) } : {}),
      },
      yaxis: {
        title: { text: plain(data.label) }, type: log ? "log" : "linear", gridcolor: "#E6E6E6", zeroline: false, tickfont: { size: 12 },
        range: log ? [Math.log10(low), Math.log10(high)] : [0, high], exponentformat: "power", dtick: log ? 1 : undefined,
      },
      annotations: own.annotations, shapes: [...limits, ...own.shapes],
    };
  }

  function sampleTable(one, label) {
    const table = document.createElement("table");
    table.createCaption().textContent = `Samples of ${one.id}`;
    const head = table.createTHead().insertRow();
    for (const text of ["Day", label]) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.className = "number";
      cell.textContent = text;
      head.append(cell);
    }
    const body = table.createTBody();
    one.day.forEach((day, i) => {
      const row = body.insertRow();
      for (const text of [shown(day), one.said[i]]) {
        const cell = row.insertCell();
        cell.className = "number";
        cell.textContent = text;
      }
    });
    return table;
  }

  const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
  function inWords(data, one) {
    if (!one) return `${plural(data.subjects.length, "subject")}, ${plural(data.subjects.reduce((n, s) => n + s.day.length, 0), "sample")}.`;
    const blq = one.state.filter((state) => state === "below").length;
    const events = one.events.map(([day, name]) => `${name} on day ${shown(day)}`);
    const none = one.curve && one.curve.every((value) => value === null) ? " No estimate." : "";
    const far = one.misfit ? ` Mean squared IWRES ${one.misfit}.` : "";
    return `${one.id}: ${plural(one.day.length, "sample")}, ${blq} BLQ.${far}${none}${events.length ? ` ${events.join("; ")}.` : ""}`;
  }

  function prepare(chart) {
    const still = chart.nextElementSibling;
    const data = JSON.parse(chart.querySelector("script").textContent);
    const [select, drawing] = [chart.querySelector("select"), chart.querySelector(".drawing")];
    const [log, steps] = [chart.querySelector(".log"), [...chart.querySelectorAll(".step")]];
    const names = [...(data.kind === "profiles" ? [ALL] : []), ...data.subjects.map((one) => one.id)];
    const offset = names.length - data.subjects.length;
    const misfit = new Map(data.subjects.map((one) => [one.id, one.misfit]));
    select.append(...names.map((name) => new Option(misfit.get(name) ? `${name} (${misfit.get(name)})` : name, name)));

    async function draw() {
      const one = data.subjects[select.selectedIndex - offset];
      const traces = data.kind === "fit" ? fitTraces(data, one, log.checked) : profileTraces(data, one);
      steps.forEach((button) => {
        const to = select.selectedIndex + Number(button.dataset.step);
        button.disabled = to < 0 || to >= names.length;
      });
      const said = inWords(data, one);
      chart.querySelector(".said").textContent = said;
      drawing.setAttribute("aria-label", `${chart.getAttribute("aria-label")}. ${said}`);
      chart.querySelector(".samples").hidden = !one;
      chart.querySelector(".samples .scroll").replaceChildren(...(one ? [sampleTable(one, data.label)] : []));
      const library = await plotly();
      await library.react(drawing, traces, layout(data, one, log.checked, drawing.clientWidth), {
        responsive: true, displaylogo: false, modeBarButtonsToRemove: ["toImage", "select2d", "lasso2d", "autoScale2d"],
      });
      drawing.dataset.drawn = select.value;
    }

    const tried = () => draw().catch((error) => {
      chart.hidden = true;
      still.open = true;
      console.warn(`carkinetics: the chart could not be drawn, its pictures are shown instead: ${error}`);
    });
    select.addEventListener("change", tried);
    log.addEventListener("change", tried);
    steps.forEach((button) => button.addEventListener("click", () => {
      select.selectedIndex += Number(button.dataset.step);
      tried();
    }));
    chart.hidden = false;
    still.open = false;
    const near = new IntersectionObserver((seen) => {
      if (!seen.some((one) => one.isIntersecting)) return;
      near.disconnect();
      tried();
    }, { rootMargin: "400px" });
    near.observe(chart);
  }

  // Without these two the pictures stay open; nothing is lost.
  if (!window.DecompressionStream || !window.IntersectionObserver) return;
  document.querySelectorAll(".chart").forEach(prepare);
})();
