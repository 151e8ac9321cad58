"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.querySelectorAll("th")];
  heads.forEach((head, place) => head.querySelector("button.sort").addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") === "descending" || !head.hasAttribute("aria-sort") && !head.classList.contains("number");
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const body = table.tBodies[0];
    const key = line => line.cells[place].dataset.sort;
    const order = (first, second) => {
      const [a, b] = [key(first), key(second)];
      if (a === "" || b === "") return (a === "") - (b === "");
      return (Number.isNaN(a - b) ? a.localeCompare(b) : a - b) * (up ? 1 : -1);
    };
    body.append(...[...body.rows].sort(order));
  }));
}
const follow = () => {
  const row = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!row || row.tagName !== "DETAILS") return;
  for (let folded = row; folded; folded = folded.parentElement.closest("details")) folded.open = true;
  row.scrollIntoView();
  row.querySelector("summary").focus();
};
addEventListener("hashchange", follow);
follow();
