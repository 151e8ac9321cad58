// Document viewer: unpacks the predictions of a system when they are first shown, and draws one document at a time.
(() => {
  const byId = id => document.getElementById(`viewer-${id}`);
  if (!byId("panels")) return;
  const data = JSON.parse(byId("data").textContent);
  const [systemA, systemB, kind, search, choice, panels] = ["a", "b", "kind", "search", "document", "panels"].map(byId);
  const SVG = "http://www.w3.org/2000/svg";

  const make = (tag, attributes = {}, ...inside) => fill(document.createElement(tag), attributes, inside);
  const draw = (tag, attributes = {}, ...inside) => fill(document.createElementNS(SVG, tag), attributes, inside);
  function fill(element, attributes, inside) {
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...inside);
    return element;
  }

  const unpacked = new Map();
  const unpack = id => {
    if (!unpacked.has(id)) {
      const bytes = Uint8Array.from(atob(byId(id).textContent), letter => letter.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
      unpacked.set(id, new Response(stream).json());
    }
    return unpacked.get(id);
  };

  // Words of a document.
  const number = cluster => String(cluster + 1);
  const letters = cluster => (cluster >= 26 ? letters(Math.floor(cluster / 26) - 1) : "") + String.fromCharCode(65 + cluster % 26);
  const readable = type => Object.hasOwn(data.names, type) ? data.names[type] : type;
  const named = type => readable(type) === type ? type : `${readable(type)} (${type})`;
  const written = (tokens, [start, end]) => tokens.slice(start, end).join("").trim().replace(/\s+/g, " ");
  const quoted = (tokens, span) => `“${written(tokens, span)}”`;
  const longest = (tokens, [mentions]) => mentions.map(span => written(tokens, span)).reduce((a, b) => b.length > a.length ? b : a, "");
  const scored = (what, score) => score == null ? "" : `${what} ${score.toFixed(3)}`;
  const colour = type => `--c: var(--t${data.types.indexOf(type) % 9})`;

  // Which documents match the controls, where among them the reader is, and what a click has highlighted for good.
  let matching = [], place = 0, pinned = null;
  let request = 0; // the newest request to draw: an older one that ends later is dropped
  const chosen = () => [systemA.value, systemB.value].filter(value => value !== "");

  // Draws a document (the one shown before where none is named), or the first where it does not match the controls.
  async function show(wanted = matching[place]) {
    const mine = ++request, names = chosen();
    const [documents, ...systems] = await Promise.all(["documents", ...names.map(value => `system-${value}`)].map(unpack));
    if (mine !== request) return;
    const words = search.value.trim().toLowerCase(), filter = kind.value, everywhere = [...documents.keys()];
    const errors = (kind, indices) => indices.flatMap(index => systems.flatMap(system => system[index]?.errors ?? [])).filter(error => error[0] === kind).length;
    kind.replaceChildren(make("option", {value: ""}, "any or no error"), ...data.kinds.map(({kind, name}) => make("option", {value: kind}, `${name} (${errors(kind, everywhere)})`)));
    kind.value = filter;
    matching = everywhere.filter(index => documents[index].title.toLowerCase().includes(words) && (!filter || errors(filter, [index])));
    choice.replaceChildren(...matching.map(index => make("option", {value: index}, documents[index].title + (filter ? ` (${errors(filter, [index])})` : ""))));
    place = Math.max(0, matching.indexOf(wanted));
    const index = matching[place];
    pinned = null;
    choice.value = index ?? "";
    byId("place").textContent = matching.length ? `${place + 1} of ${matching.length}` : "no such document";
    // Not for the first document: the address may lead elsewhere on the page.
    if (index !== undefined && panels.childElementCount) history.replaceState(null, "", `#document=${encodeURIComponent(data.ids[index])}`);
    panels.classList.toggle("two", names.length > 1);
    panels.replaceChildren(...index === undefined ? [] : names.map((name, side) => panel(documents[index], systems[side][index], data.systems[name])));
  }

  // One document as one system sees it.
  function panel(shown, prediction, system) {
    const made = make("article", {class: "panel"}, make("h3", {dir: "auto"}, shown.title));
    if (system.name) made.append(make("p", {class: "soft"}, system.name, ...system.run ? [", run ", make("code", {}, system.run)] : []));
    if (!prediction) {
      made.append(make("p", {class: "warning"}, "This system has no prediction for this document."));
      return made;
    }
    const {tokens, gold} = shown, {predicted, errors, right} = prediction;
    const [mentions, entities, relations] = predicted, name = gold ? letters : number;
    const counts = ["mentions", "clusters", "relations"].map((what, part) => gold
      ? `${what}: ${gold[part].length} in gold, ${predicted[part].length} predicted` : `${predicted[part].length} ${what}`);
    const text = runningText(tokens, gold, predicted, name);
    made.append(make("p", {class: "soft"}, `${tokens.length} tokens; ${counts.join("; ")}${gold ? `, ${right.length} right` : ""}.`), typeLegend(entities), text);
    if (gold) made.append(...errorList(tokens, errors, text));
    made.append(
      section(`Relations (${relations.length})`, !gold, ...relations.length ? [graph(tokens, entities, relations, name), relationTable(tokens, predicted, gold ? right : null, name)] : ["None."]),
      section(`Clusters (${entities.length})`, !gold, clusterList(tokens, entities, name, true)),
    );
    if (gold) made.append(section(`Gold clusters (${gold[1].length})`, false, clusterList(tokens, gold[1], number, false)));
    return made;
  }

  const section = (title, open, ...inside) => make("details", open ? {open: ""} : {}, make("summary", {}, title), ...inside);
  const badge = (entities, cluster, name) => make("span", {class: "badge", style: colour(entities[cluster][1])}, name(cluster));

  function typeLegend(entities) {
    const counts = new Map();
    for (const [, type] of entities) counts.set(type, (counts.get(type) ?? 0) + 1);
    return make("p", {class: "types"}, ...[...counts].sort().map(([type, count]) => make("span", {style: colour(type)}, `${named(type)} ${count}`)));
  }

  // Every mention as a mark with the names of its clusters; spans that cross are cut, so that marks nest.
  function runningText(tokens, gold, predicted, name) {
    const spans = new Map();
    for (const [side, annotation] of [["gold", gold], ["predicted", predicted]].filter(pair => pair[1])) {
      annotation[0].forEach(([start, end], index) => {
        const key = `${start}-${end}`;
        spans.set(key, {key, start, end, ...spans.get(key), [side]: [], score: annotation[3][index]});
      });
      annotation[1].forEach(([mentions], cluster) => mentions.forEach(span => spans.get(span.join("-"))[side].push(cluster)));
    }
    const waiting = [...spans.values()], ends = [], opening = new Map();
    while (waiting.length) {
      waiting.sort((a, b) => a.start - b.start || b.end - a.end);
      const next = waiting.shift();
      while (ends.length && ends.at(-1) <= next.start) ends.pop();
      const limit = ends.at(-1) ?? Infinity;
      if (next.end > limit) waiting.push({...next, start: limit});
      const part = {...next, end: Math.min(next.end, limit), last: next.end <= limit};
      ends.push(part.end);
      opening.set(part.start, [...opening.get(part.start) ?? [], part]);
    }
    const text = make("p", {class: "text", dir: "auto"}), stack = [{element: text, end: Infinity}];
    const close = () => {
      const {element, last, gold: wanted, predicted: made} = stack.pop();
      const sign = element.classList.contains("missed") ? "−" : element.classList.contains("spurious") ? "+" : "";
      const clusters = [(wanted ?? []).map(number), (made ?? []).map(name)].map(names => names.join(" ")).filter(Boolean).join("·");
      if (last && sign + clusters) element.append(make("sub", {}, sign + clusters));
    };
    tokens.forEach((token, position) => {
      while (stack.at(-1).end <= position) close();
      // White space belongs in front of the marks that open here, not into them.
      const word = token.trimStart();
      stack.at(-1).element.append(token.slice(0, token.length - word.length));
      for (const part of opening.get(position) ?? []) {
        const state = gold ? !part.predicted ? "missed" : part.gold ? "right" : "spurious" : part.predicted.length ? "plain" : "loose";
        const said = {plain: "predicted", loose: "mention without a cluster"}[state] ?? state;
        const types = (part.predicted ?? []).map(cluster => predicted[1][cluster]).map(([, type, score]) => scored(`type ${readable(type)}`, score));
        const title = [said, scored("mention score", part.score), ...types].filter(Boolean).join(", ");
        const element = make("mark", {class: state, "data-span": part.key, title});
        if (part.predicted?.length) {
          mark(element, part.predicted);
          if (state === "plain") element.setAttribute("style", colour(predicted[1][part.predicted[0]][1]));
        }
        stack.at(-1).element.append(element);
        stack.push({element, ...part});
      }
      stack.at(-1).element.append(word);
    });
    while (stack.length > 1) close();
    return text;
  }

  function errorList(tokens, errors, text) {
    const words = ([kind, gold, predicted, goldType, predictedType]) => {
      const quote = span => quoted(tokens, span);
      if (kind === "mention-boundary") return `${quote(predicted[0])} for ${quote(gold[0])}`;
      if (kind.startsWith("mention")) return quote(gold[0] ?? predicted[0]);
      if (kind === "entity-type") return `${quote(gold[0])}: ${named(predictedType)}, in gold ${named(goldType)}`;
      if (kind.startsWith("cluster")) return [...new Set((kind === "cluster-split" ? gold : predicted).map(quote))].join(" ");
      const [head, tail] = gold.length ? gold : predicted;
      const type = kind === "relation-type" ? `${named(predictedType)}, in gold ${named(goldType)}` : named(goldType || predictedType);
      return `${quote(head)} → ${type} → ${quote(tail)}`;
    };
    const button = error => {
      const made = make("button", {type: "button", class: "error", "aria-pressed": "false"}, words(error));
      made.addEventListener("click", () => showSpans(made, text, [...error[1], ...error[2]]));
      return make("li", {}, made);
    };
    const groups = data.kinds.map(({kind, name}) => [name, errors.filter(error => error[0] === kind)]).filter(([, group]) => group.length);
    return [make("h4", {}, `Errors (${errors.length})`), ...groups.flatMap(([name, group]) =>
      [make("p", {class: "soft"}, `${name} (${group.length})`), make("ul", {}, ...group.map(button))])];
  }

  function showSpans(button, text, spans) {
    const on = button.getAttribute("aria-pressed") === "false", keys = on ? spans.map(span => span.join("-")) : [];
    for (const other of button.closest(".panel").querySelectorAll("button.error")) other.setAttribute("aria-pressed", String(on && other === button));
    for (const element of text.querySelectorAll("mark")) element.classList.toggle("lit", keys.includes(element.dataset.span));
    text.querySelector("mark.lit")?.scrollIntoView({block: "center"});
  }

  function clusterList(tokens, entities, name, marked) {
    return make("ul", {class: "clusters"}, ...entities.map(([mentions, type, score], cluster) => {
      const surfaces = [...new Set(mentions.map(span => written(tokens, span)))].join(" · ");
      const item = make("li", {}, badge(entities, cluster, name), make("span", {dir: "auto"}, surfaces), make("span", {class: "soft", title: scored("score of the type", score)}, named(type)));
      return marked ? mark(item, [cluster]) : item;
    }));
  }

  function relationTable(tokens, [, entities, relations], right, name) {
    const end = cluster => make("td", {}, badge(entities, cluster, name), " ", longest(tokens, entities[cluster]));
    const scored = relations.some(relation => relation[3] !== null), heads = ["Head", "Relation", "Tail", ...scored ? ["Score"] : [], ...right ? ["Gold"] : []];
    const rows = relations.map((relation, index) => [relation, index]).sort(([a], [b]) => b[3] - a[3]).map(([[head, tail, type, score], index]) => mark(make("tr", {},
      end(head), make("td", {}, named(type)), end(tail),
      ...scored ? [make("td", {class: "number"}, score === null ? "" : score.toFixed(3))] : [],
      ...right ? [make("td", {}, right.includes(index) ? "right" : "wrong")] : []), [head, tail]));
    return make("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": "Relations"}, make("table", {},
      make("thead", {}, make("tr", {}, ...heads.map(head => make("th", {scope: "col"}, head)))), make("tbody", {}, ...rows)));
  }

  // Clusters below one another in reading order, an arc per pair that is related; forth and back are two arcs.
  function graph(tokens, entities, relations, name) {
    const AXIS = 220, LINE = 26, DEPTH = 300;
    const related = [...new Set(relations.flatMap(([head, tail]) => [head, tail]))].sort((a, b) => a - b);
    const height = cluster => LINE * (related.indexOf(cluster) + 0.5);
    const pairs = new Map();
    for (const [head, tail, type] of relations) pairs.set(`${head} ${tail}`, [...pairs.get(`${head} ${tail}`) ?? [], readable(type)]);
    const arcs = [...pairs].map(([key, types]) => {
      const [head, tail] = key.split(" ").map(Number), from = height(head), to = height(tail) + (head === tail ? 7 : 0);
      const depth = Math.min(DEPTH, 30 + 0.55 * Math.abs(to - from)) + (to < from ? 12 : 0);
      return mark(draw("g", {class: "arc"},
        draw("path", {d: `M${AXIS + 8} ${from}C${AXIS + depth} ${from} ${AXIS + depth} ${to} ${AXIS + 14} ${to}`, "marker-end": "url(#viewer-arrow)"}),
        draw("text", {x: AXIS + 12 + 0.75 * depth, y: (from + to) / 2 + 4}, types.join(" · "))), [head, tail], false);
    });
    const nodes = related.map(cluster => {
      const whole = longest(tokens, entities[cluster]), short = whole.length > 28 ? `${whole.slice(0, 27)}…` : whole;
      return mark(draw("g", {class: "node"}, draw("title", {}, whole), draw("circle", {cx: AXIS, cy: height(cluster), r: 9, style: colour(entities[cluster][1])}),
        draw("text", {x: AXIS, y: height(cluster) + 4, "text-anchor": "middle", class: "name"}, name(cluster)),
        draw("text", {x: AXIS - 16, y: height(cluster) + 4, "text-anchor": "end"}, short)), [cluster], false);
    });
    return make("div", {class: "scroll graph", tabindex: "0", role: "region", "aria-label": "Relation graph: the table of relations says the same in words"},
      draw("svg", {width: AXIS + DEPTH + 200, height: LINE * related.length}, ...arcs, ...nodes));
  }

  // Marks an element with its clusters: pointing at one shows what belongs to the same clusters, a click keeps it.
  function mark(element, clusters, focusable = true) {
    element.dataset.clusters = clusters.join(" ");
    if (focusable) element.setAttribute("tabindex", "0");
    return element;
  }

  const clustersOf = element => element.dataset.clusters.split(" ");
  function highlight(element) {
    const wanted = element ? clustersOf(element) : [];
    for (const shown of panels.children) shown.classList.toggle("dimmed", Boolean(element) && shown.contains(element));
    for (const item of panels.querySelectorAll("[data-clusters]")) {
      const own = clustersOf(item), inside = element && item.closest(".panel") === element.closest(".panel");
      item.classList.toggle("on", Boolean(inside) && (wanted.every(cluster => own.includes(cluster)) || own.every(cluster => wanted.includes(cluster))));
    }
  }
  const pin = element => highlight(pinned = element);
  for (const name of ["mouseover", "focusin"]) panels.addEventListener(name, event => pinned || highlight(event.target.closest("[data-clusters]")));
  for (const name of ["mouseleave", "focusout"]) panels.addEventListener(name, () => pinned || highlight(null));
  panels.addEventListener("click", event => {
    const element = event.target.closest("[data-clusters]");
    pin(element === pinned ? null : element);
  });

  // Controls.
  const step = by => show(matching[(place + by + matching.length) % matching.length]);
  for (const select of [systemA, systemB, kind]) select.addEventListener("change", () => show());
  search.addEventListener("input", () => show());
  choice.addEventListener("change", () => show(Number(choice.value)));
  byId("next").addEventListener("click", () => step(1));
  byId("previous").addEventListener("click", () => step(-1));
  document.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    if (event.key === "j") step(1);
    if (event.key === "k") step(-1);
    if (event.key === "Escape") pin(null);
    if ((event.key === "Enter" || event.key === " ") && event.target.matches("[data-clusters]")) {
      event.preventDefault();
      event.target.click();
    }
  });
  // A link to #document=ID opens the viewer on that document.
  const follow = async () => {
    if (!location.hash.startsWith("#document=")) return false;
    const index = data.ids.indexOf(decodeURIComponent(location.hash.slice("#document=".length)));
    if (index < 0) return false;
    [search.value, kind.value] = ["", ""];
    await show(index);
    document.getElementById("documents").scrollIntoView();
    choice.focus();
    return true;
  };
  addEventListener("hashchange", follow);
  follow().then(followed => followed || show());
})();
