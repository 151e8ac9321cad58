// The viewer: inflates a system when it is looked at, and draws one document at a time.
(() => {
  const byId = id => document.getElementById(`viewer-${id}`);
  if (!byId("panels")) return;
  const told = JSON.parse(byId("told").textContent);
  const [systemA, systemB, kindChoice, search, choice, panels] = ["a", "b", "kind", "search", "document", "panels"].map(byId);
  const inflated = new Map();
  const inflate = id => {
    if (!inflated.has(id)) {
      const bytes = Uint8Array.from(atob(byId(id).textContent), letter => letter.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
      inflated.set(id, new Response(stream).json());
    }
    return inflated.get(id);
  };
  const make = (tag, attributes = {}, ...inside) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...inside);
    return made;
  };
  const named = type => told.names[type] ? `${told.names[type]} (${type})` : type;
  const letters = place => (place >= 26 ? letters(Math.floor(place / 26) - 1) : "") + String.fromCharCode(65 + place % 26);
  const closing = /^([)\]},.;:!?%…’”]|'s?|’s|n't)$/, opening = /^[(\[{$£€“‘#]$/;
  const surface = (tokens, [start, end]) => tokens.slice(start, end).reduce(
    (text, token, place, all) => text + (place && !closing.test(token) && !opening.test(all[place - 1]) ? " " : "") + token, "");

  let shown = 0; // place in `matching`
  let matching = [];
  let turn = 0; // the newest request to draw; an older one that ends late is dropped

  // Documents and the chosen systems; null where something newer was asked for meanwhile.
  async function loaded() {
    const mine = ++turn;
    const documents = await inflate("documents");
    const chosen = [systemA.value, systemB.value].filter(value => value !== "");
    const systems = await Promise.all(chosen.map(value => inflate(`system-${value}`)));
    return mine === turn ? {documents, systems, chosen} : null;
  }

  async function refresh({keep = false} = {}) {
    const before = keep ? matching[shown] : undefined;
    const found = await loaded();
    if (!found) return;
    const kind = kindChoice ? kindChoice.value : "";
    const wanted = search.value.trim().toLowerCase();
    const wrong = place => found.systems.reduce((sum, system) => sum + (system[place] ? system[place].findings.filter(one => one[0] === kind).length : 0), 0);
    matching = found.documents.map((_, place) => place).filter(place =>
      found.documents[place].title.toLowerCase().includes(wanted) && (!kind || wrong(place)));
    shown = Math.max(0, matching.indexOf(before));
    choice.replaceChildren(...matching.map(place => make("option", {value: place}, found.documents[place].title + (kind ? ` (${wrong(place)})` : ""))));
    draw(found);
  }

  async function redraw() {
    const found = await loaded();
    if (found) draw(found);
  }

  function draw({documents, systems, chosen}) {
    const place = matching[shown];
    byId("place").textContent = matching.length ? `${shown + 1} of ${matching.length}` : "no such document";
    choice.value = place ?? "";
    panels.classList.toggle("two", chosen.length > 1);
    panels.replaceChildren(...place === undefined ? [] : chosen.map((value, which) =>
      panel(documents[place], systems[which][place], told.systems[value])));
  }

  function panel(shownDocument, prediction, system) {
    const made = make("article", {class: "panel"}, make("h3", {}, shownDocument.title));
    made.append(make("p", {class: "soft"}, system.name, ...system.run ? [", run ", make("code", {}, system.run)] : []));
    if (!prediction) {
      made.append(make("p", {class: "warning"}, "This system has no prediction for this document."));
      return made;
    }
    const {gold} = shownDocument, {predicted, findings} = prediction;
    if (gold) {
      const count = (one, other, what) => `${what} ${one} in gold, ${other} predicted`;
      made.append(make("p", {class: "soft"}, [
        count(gold[0].length, predicted[0].length, "Mentions:"),
        count(gold[1].length, predicted[1].length, "clusters:"),
        `${count(gold[2].length, predicted[2].length, "relations:")}, ${prediction.right.length} right`,
      ].join("; "), "."));
    }
    const text = running(shownDocument, gold, predicted);
    made.append(text);
    if (gold) made.append(...errors(shownDocument.tokens, findings, text));
    made.append(...relations(shownDocument.tokens, predicted, prediction.right, Boolean(gold)));
    made.append(entities(shownDocument.tokens, gold, predicted));
    return made;
  }

  // Every mention with its cluster's number (gold) and letter (predicted); crossing spans are cut, so that marks nest.
  function running(shownDocument, gold, predicted) {
    const spans = new Map();
    const add = (side, annotation, name) => {
      if (!annotation) return;
      const known = ([start, end]) => {
        const key = `${start}-${end}`;
        if (!spans.has(key)) spans.set(key, {start, end, key, gold: null, predicted: null});
        return spans.get(key);
      };
      for (const span of annotation[0]) known(span)[side] ??= [];
      annotation[1].forEach(([mentions], place) => mentions.forEach(span => (known(span)[side] ??= []).push(name(place))));
    };
    add("gold", gold, place => String(place + 1));
    add("predicted", predicted, letters);
    const waiting = [...spans.values()].map(span => ({...span}));
    const order = (a, b) => a.start - b.start || b.end - a.end;
    const ends = [], opens = new Map();
    while (waiting.length) {
      waiting.sort(order);
      const next = waiting.shift();
      while (ends.length && ends.at(-1) <= next.start) ends.pop();
      const limit = ends.length ? ends.at(-1) : Infinity;
      if (next.end > limit) {
        waiting.push({...next, start: limit});
        next.end = limit;
        next.goesOn = true;
      }
      ends.push(next.end);
      if (!opens.has(next.start)) opens.set(next.start, []);
      opens.get(next.start).push(next);
    }
    const text = make("p", {class: "text"});
    const stack = [{element: text, end: Infinity}];
    shownDocument.tokens.forEach((token, place, all) => {
      while (stack.at(-1).end <= place) close(stack);
      if (place && !closing.test(token) && !opening.test(all[place - 1])) stack.at(-1).element.append(" ");
      for (const span of opens.get(place) ?? []) {
        const state = !gold ? "plain" : !span.predicted ? "missed" : span.gold ? "right" : "spurious";
        const element = make("mark", {class: state, "data-span": span.key, title: state === "plain" ? "predicted" : state});
        stack.at(-1).element.append(element);
        stack.push({element, ...span});
      }
      stack.at(-1).element.append(token);
    });
    while (stack.length > 1) close(stack);
    return text;
  }

  function close(stack) {
    const {element, gold, predicted, goesOn} = stack.pop();
    if (goesOn) return;
    const clusters = [gold, predicted].map(one => (one ?? []).join(" ")).filter(Boolean).join("·");
    const sign = element.className === "missed" ? "−" : element.className === "spurious" ? "+" : "";
    if (clusters || sign) element.append(make("sub", {}, sign + clusters));
  }

  function errors(tokens, findings, text) {
    if (!findings.length) return [make("h4", {}, "Errors"), make("p", {class: "soft"}, "None.")];
    const quoted = span => `“${surface(tokens, span)}”`;
    const words = ([kind, gold, predicted, wanted, found]) => {
      if (kind === "mention-boundary") return `${quoted(predicted[0])} for ${quoted(gold[0])}`;
      if (kind.startsWith("mention")) return quoted((gold[0] ?? predicted[0]));
      if (kind === "entity-type") return `${quoted(gold[0])}: ${named(found)}, in gold ${named(wanted)}`;
      if (kind.startsWith("cluster")) return [...new Set((kind === "cluster-split" ? gold : predicted).map(quoted))].join(" ");
      const [head, tail] = gold.length ? gold : predicted;
      const type = kind === "relation-type" ? `${named(found)}, in gold ${named(wanted)}` : named(wanted || found);
      return `${quoted(head)} → ${type} → ${quoted(tail)}`;
    };
    const made = [make("h4", {}, `Errors (${findings.length})`)];
    for (const {kind, name} of told.kinds) {
      const group = findings.filter(one => one[0] === kind);
      if (!group.length) continue;
      made.push(make("p", {class: "soft"}, `${name} (${group.length})`), make("ul", {}, ...group.map(finding => {
        const button = make("button", {type: "button", class: "finding", "aria-pressed": "false"}, words(finding));
        button.addEventListener("click", () => light(button, text, [...finding[1], ...finding[2]]));
        return make("li", {}, button);
      })));
    }
    return made;
  }

  function light(button, text, spans) {
    const on = button.getAttribute("aria-pressed") === "false";
    for (const other of button.closest(".panel").querySelectorAll("button.finding")) other.setAttribute("aria-pressed", "false");
    for (const mark of text.querySelectorAll("mark.lit")) mark.classList.remove("lit");
    if (!on) return;
    button.setAttribute("aria-pressed", "true");
    const keys = new Set(spans.map(span => span.join("-")));
    const marks = [...text.querySelectorAll("mark")].filter(mark => keys.has(mark.dataset.span));
    for (const mark of marks) mark.classList.add("lit");
    if (marks.length) marks[0].scrollIntoView({block: "center"});
  }

  function relations(tokens, [, clusters, made], right, judged) {
    const line = ([head, tail, type, score]) => make("li", {}, `“${surface(tokens, clusters[head][0][0])}” → ${named(type)} → “${surface(tokens, clusters[tail][0][0])}”${score === null ? "" : ` (${score.toFixed(2)})`}`);
    const kept = judged ? right.map(place => made[place]) : made;
    const title = `${judged ? "Right relations" : "Relations"} (${kept.length})`;
    return kept.length ? [make("h4", {}, title), make("ul", {}, ...kept.map(line))] : [];
  }

  function entities(tokens, gold, predicted) {
    const list = ([, clusters], name) => make("ul", {}, ...clusters.map(([mentions, type], place) =>
      make("li", {}, make("b", {}, name(place)), ` ${named(type)}: ${[...new Set(mentions.map(span => `“${surface(tokens, span)}”`))].join(", ")}`)));
    const made = make("details", {}, make("summary", {}, "Clusters and their types"));
    if (gold) made.append(make("h4", {}, "Gold"), list(gold, place => String(place + 1)));
    made.append(make("h4", {}, "Predicted"), list(predicted, letters));
    return made;
  }

  function kinds() {
    if (!kindChoice) return;
    const before = kindChoice.value;
    const total = kind => [systemA.value, systemB.value].filter(value => value !== "").reduce((sum, value) => sum + told.errors[kind][value], 0);
    kindChoice.replaceChildren(make("option", {value: ""}, "any or no error"), ...told.kinds.map(({kind, name}) =>
      make("option", {value: kind}, `${name} (${total(kind)})`)));
    kindChoice.value = before;
  }

  const step = by => {
    if (!matching.length) return;
    shown = (shown + by + matching.length) % matching.length;
    redraw();
  };
  for (const select of [systemA, systemB]) select.addEventListener("change", () => { kinds(); refresh({keep: true}); });
  if (kindChoice) kindChoice.addEventListener("change", () => refresh());
  search.addEventListener("input", () => refresh());
  choice.addEventListener("change", () => { shown = matching.indexOf(Number(choice.value)); redraw(); });
  byId("next").addEventListener("click", () => step(1));
  byId("previous").addEventListener("click", () => step(-1));
  document.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    if (event.key === "j") step(1);
    if (event.key === "k") step(-1);
  });
  // A link to #document=ID opens the viewer on that document.
  const goTo = () => {
    if (!location.hash.startsWith("#document=")) return;
    const place = told.ids.indexOf(decodeURIComponent(location.hash.slice("#document=".length)));
    if (place < 0) return;
    search.value = "";
    if (kindChoice) kindChoice.value = "";
    refresh().then(() => {
      shown = matching.indexOf(place);
      redraw();
      document.getElementById("documents").scrollIntoView();
      choice.focus();
    });
  };
  addEventListener("hashchange", goTo);
  kinds();
  // Drawn when it comes near the window: the page opens without waiting for it.
  const first = new IntersectionObserver(seen => {
    if (seen.some(one => one.isIntersecting)) { first.disconnect(); refresh({keep: true}); }
  }, {rootMargin: "600px"});
  first.observe(document.getElementById("documents"));
  goTo();
})();
