"use strict";
// Tables: heads that sort, and a button that saves the table as CSV. Without this script the table is just a table.
(() => {
  const MISSING = "–";

  // "0.1 to 2.0" sorts by its lower end, "1.2 × 10⁶" by its value; what is no number goes last.
  function numberOf(text) {
    const found = text.replace(/−/g, "-").match(/-?(?:\d[\d,]*\.?\d*(?:e[+-]?\d+)?|∞)/i);
    if (!found) return NaN;
    if (found[0].endsWith("∞")) return found[0].startsWith("-") ? -Infinity : Infinity;
    const power = text.match(/× 10([⁰¹²³⁴⁵⁶⁷⁸⁹]+)/);
    const exponent = power ? Number([...power[1]].map((c) => "⁰¹²³⁴⁵⁶⁷⁸⁹".indexOf(c)).join("")) : 0;
    return Number(found[0].replace(/,/g, "")) * 10 ** exponent;
  }

  const words = new Intl.Collator("en", { numeric: true });

  function compare(a, b, numeric, sign) {
    const blank = (text) => (numeric ? Number.isNaN(numberOf(text)) : text === "" || text === MISSING);
    if (blank(a) || blank(b)) return Number(blank(a)) - Number(blank(b)); // what is missing is last either way
    if (!numeric) return sign * words.compare(a, b);
    const [x, y] = [numberOf(a), numberOf(b)];
    return x === y ? 0 : sign * (x < y ? -1 : 1);
  }

  const cell = (row, column) => row.cells[column].textContent.trim();

  // Rows are sorted below their heading, which stays where it is.
  function parts(body) {
    const found = [[]];
    for (const row of [...body.rows]) {
      if (row.classList.contains("block")) found.push([row], []);
      else found[found.length - 1].push(row);
    }
    return found;
  }

  function sortBy(table, column, numeric) {
    const heads = [...table.tHead.rows[0].cells];
    const upward = heads[column].getAttribute("aria-sort") !== "ascending";
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[column].setAttribute("aria-sort", upward ? "ascending" : "descending");
    const body = table.tBodies[0];
    for (const rows of parts(body)) {
      if (!rows.length || !rows[0].classList.contains("block"))
        rows.sort((a, b) => compare(cell(a, column), cell(b, column), numeric, upward ? 1 : -1));
      body.append(...rows);
    }
  }

  // A spreadsheet runs a cell that begins like a formula; an apostrophe makes it text. Numbers stay numbers, with their intervals,
  // but -2+cmd begins like one and is none.
  const SIGNED = /^[+-](?:[-+−–\d.,()%∞×⁰¹²³⁴⁵⁶⁷⁸⁹ e]|to)*$/i;
  function csvField(text) {
    const shown = /^[=@\t\r]/.test(text) || (/^[+-]/.test(text) && !SIGNED.test(text)) ? `'${text}` : text;
    return /[",\n\r]/.test(shown) ? `"${shown.replace(/"/g, '""')}"` : shown;
  }

  // A link is its words and its address.
  function said(one) {
    const link = one.querySelector("a");
    return link ? `${link.textContent.trim()} (${link.getAttribute("href")})` : one.textContent.trim();
  }

  function csv(table, warning) {
    const heads = [...table.tHead.rows[0].cells].map((head) => head.textContent.replace(/[▲▼]/g, "").trim());
    const blocks = table.querySelector("tr.block") !== null;
    const lines = [[...(blocks ? ["Block"] : []), ...heads, ...(warning ? ["Warning"] : [])]];
    let block = "";
    for (const row of table.tBodies[0].rows) {
      const cells = [...row.cells].map(said);
      if (row.classList.contains("block")) {
        block = cells[0];
        continue;
      }
      const marked = warning ? [row.classList.contains("unusable") ? warning : ""] : [];
      lines.push([...(blocks ? [block] : []), ...cells, ...marked]);
    }
    return lines.map((line) => line.map(csvField).join(",")).join("\r\n") + "\r\n";
  }

  function save(name, text) {
    const link = document.createElement("a");
    // Excel takes a file for UTF-8 only when it begins with the mark.
    link.href = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv;charset=utf-8" }));
    link.download = `${name.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 60)}.csv`;
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  // One stop of the Tab key for all heads of a table; arrow keys, Home and End go from one to the next.
  function rove(buttons) {
    const stop = (chosen) => buttons.forEach((button) => { button.tabIndex = button === chosen ? 0 : -1; });
    stop(buttons[0]);
    buttons.forEach((button, i) => {
      button.title = buttons.length > 1 ? "Sort; arrow keys: other columns" : "Sort";
      button.addEventListener("focus", () => stop(button));
      button.addEventListener("keydown", (event) => {
        const to = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: buttons.length - 1 }[event.key];
        if (to === undefined || !buttons[to]) return;
        event.preventDefault();
        buttons[to].focus();
      });
    });
  }

  function prepare(table) {
    const caption = table.caption.textContent.trim();
    const warning = table.dataset.warning || "";
    if (table.tBodies[0].rows.length > 1 && !table.classList.contains("still")) {
      [...table.tHead.rows[0].cells].forEach((head, column) => {
        if (!head.textContent.trim()) return; // a button needs a name
        const button = document.createElement("button");
        button.type = "button";
        button.className = "sort";
        button.append(...head.childNodes);
        button.addEventListener("click", () => sortBy(table, column, head.classList.contains("number")));
        head.append(button);
      });
      rove([...table.tHead.querySelectorAll("button.sort")]);
    }
    const button = document.createElement("button");
    button.type = "button";
    button.className = "save";
    button.textContent = "CSV";
    button.setAttribute("aria-label", `Save as CSV: ${caption}`);
    button.addEventListener("click", () => save(caption, csv(table, warning)));
    table.closest(".scroll").after(button);
  }

  document.querySelectorAll("main table").forEach(prepare);
  // A browser that does not print closed details shows them first.
  addEventListener("beforeprint", () => {
    document.querySelectorAll("details:not([open], .samples)").forEach((one) => {
      one.open = true;
      one.dataset.printed = "";
    });
  });
  addEventListener("afterprint", () => {
    document.querySelectorAll("details[data-printed]").forEach((one) => {
      one.open = false;
      delete one.dataset.printed;
    });
  });
})();
