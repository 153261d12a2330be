"use strict";
(() => {
  const root = document.documentElement;

  // Theme: the reader's system decides until the button is pressed.
  const button = document.getElementById("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const remembered = () => { try { return localStorage.getItem("mobile-bench-theme"); } catch { return null; } };
  const remember = (theme) => { try { localStorage.setItem("mobile-bench-theme", theme); } catch { /* a file without storage */ } };
  const current = () => root.dataset.theme || (dark.matches ? "dark" : "light");
  const label = () => { button.textContent = current() === "dark" ? "Light theme" : "Dark theme"; };
  if (remembered()) root.dataset.theme = remembered();
  button.hidden = false;
  label();
  dark.addEventListener("change", label);
  button.addEventListener("click", () => {
    root.dataset.theme = current() === "dark" ? "light" : "dark";
    remember(root.dataset.theme);
    label();
  });

  // Announced by a screen reader, wherever its cursor is.
  const say = (text) => { document.getElementById("said").textContent = text; };

  // Sorting: a head's button sorts by its column; what was not measured always comes last.
  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => head.querySelector("button")?.addEventListener("click", () => {
      const first = head.dataset.first || "ascending";
      const other = first === "ascending" ? "descending" : "ascending";
      const direction = head.getAttribute("aria-sort") === first ? other : first;
      heads.forEach((h) => h.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", direction);
      const sign = direction === "ascending" ? 1 : -1;
      const key = (row) => row.cells[column].dataset.value ?? "";
      const numeric = head.classList.contains("number");
      const rows = [...body.rows].sort((a, b) => {
        const [x, y] = [key(a), key(b)];
        if (x === "" || y === "") return (x === "") - (y === "");
        return sign * (numeric ? x - y : x.localeCompare(y, undefined, { numeric: true }));
      });
      body.append(...rows);
      const [name, unit] = ["span", "small"].map((part) => head.querySelector(part)?.textContent);
      say(`sorted by ${name}${unit ? ` in ${unit}` : ""}, ${direction}`);
    }));
  }

  // Filtering: rows that hold every word.
  const filter = document.getElementById("filter");
  const status = document.getElementById("shown");
  filter?.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = [...document.querySelector("table.cases").tBodies[0].rows];
    let shown = 0;
    for (const row of rows) {
      row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
      shown += !row.hidden;
    }
    status.textContent = `${shown} of ${rows.length} cases`;
  });
  // The board: rows by variant and columns by device.
  const board = document.querySelector("table.board");
  const asked = ["board-variant", "board-device"].map((id) => document.getElementById(id));
  const narrow = () => {
    const [variant, device] = asked.map((input) => input.value.toLowerCase().split(/\s+/).filter(Boolean));
    const holds = (text, words) => words.every((word) => text.toLowerCase().includes(word));
    const heads = [...board.tHead.rows[0].cells].slice(1);
    const columns = heads.map((head) => holds(head.dataset.name, device));
    const rows = [...board.tBodies[0].rows];
    const kept = rows.map((row) => holds(row.cells[0].textContent, variant));
    for (const row of [board.tHead.rows[0], ...rows]) columns.forEach((on, i) => { row.cells[i + 1].hidden = !on; });
    rows.forEach((row, i) => { row.hidden = !kept[i]; });
    const some = (shown) => `${shown.filter(Boolean).length} of ${shown.length}`;
    document.getElementById("board-shown").textContent = `${some(kept)} variants, ${some(columns)} devices`;
  };
  if (board) asked.forEach((input) => input.addEventListener("input", narrow));

  for (const element of document.querySelectorAll(".tools")) element.hidden = false;

  // Intervals and reasons for absence, which a cell otherwise shows under the pointer.
  const more = document.getElementById("more");
  more?.addEventListener("click", () => {
    const on = more.getAttribute("aria-pressed") !== "true";
    more.setAttribute("aria-pressed", on);
    document.querySelector("table.cases").classList.toggle("whole", on);
  });

  // Tooltips: the numbers of the mark under the pointer or finger, or of the one that the arrow
  // keys have reached.
  const tip = document.getElementById("tip");
  const told = (mark) => mark?.dataset.tip ?? mark?.querySelector(".more")?.textContent;
  const show = (mark, x, y) => {
    const text = told(mark);
    tip.classList.toggle("on", Boolean(text));
    if (!text) return;
    tip.textContent = text;
    const box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(8, Math.min(x + 14, innerWidth - box.width - 8))}px`;
    tip.style.top = `${y + 18 + box.height > innerHeight ? y - box.height - 12 : y + 18}px`;
  };
  const point = (event) => {
    const mark = event.target.closest?.("[data-tip], td, th");
    show(mark?.closest("table.whole") ? null : mark, event.clientX, event.clientY);
  };
  addEventListener("pointermove", point, { passive: true });
  addEventListener("pointerdown", point, { passive: true });

  for (const area of document.querySelectorAll(".plot[tabindex], .panels[tabindex]")) {
    let at = -1;
    const marks = () => [...area.querySelectorAll("[data-tip]")];
    const leave = () => {
      const now = area.querySelector(".now");
      if (!now) return; // the tip is the pointer's
      now.classList.remove("now");
      tip.classList.remove("on");
    };
    const go = (index) => {
      const all = marks();
      if (!all.length) return;
      leave();
      at = (index + all.length) % all.length;
      all[at].classList.add("now");
      all[at].scrollIntoView({ block: "nearest", inline: "nearest" });
      const box = all[at].getBoundingClientRect();
      show(all[at], box.x + box.width / 2, box.y + box.height / 2);
      say(told(all[at]));
    };
    area.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (event.target !== area || event.ctrlKey || event.altKey || event.metaKey) return;
      if (event.key === "Escape") leave();
      if (!step) return;
      event.preventDefault();
      go(at < 0 && step < 0 ? -1 : at + step);
    });
    area.addEventListener("focus", () => { if (area.matches(":focus-visible")) go(Math.max(0, at)); });
    area.addEventListener("blur", leave);
  }

  const copy = document.getElementById("copy");
  if (copy && navigator.clipboard) {
    copy.hidden = false;
    copy.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById("command").textContent);
      copy.textContent = "Copied";
    });
  }

  // On paper everything is open.
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
})();
