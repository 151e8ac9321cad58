"""What `bench.json` says as Markdown tables, as the README shows them, the machine named."""

from typing import Any

from tests.bench.material import SYSTEMS
from tests.bench.training import OWN, PLAIN

TARGETS = {
    ("train", "plain", "base"): {"grc": 1.1, "mrc": 1.25},
    ("train", "plain", "minilm"): {"grc": 1.1, "mrc": 1.3},
    ("train", "own", "base"): {"grc": 1.15, "mrc": 1.3},
    ("train", "own", "minilm"): {"grc": 1.35, "mrc": 1.6},
    ("infer", "plain", "base"): {"grc": 1.25, "mrc": 1.4},
    ("infer", "plain", "minilm"): {"grc": 1.6, "mrc": 1.9},
}
SIZES = {"minilm": "MiniLM", "base": "BERT-base"}
PHASES = {"train": "training step", "infer": "decoding"}
FORMATS = ("fp32", "bf16")
PARTS = ("sampling", "collation", "forward", "backward", "optimiser", "encoder", "heads", "python", "total")


def report(results: dict[str, Any]) -> str:
    """All tables for which there is something to show."""
    tables = (ratio_table, share_table, parts_table, memory_table, length_table, number_table, startup_table)
    shown = [conditions(results), *(table(results) for table in tables)]
    return "\n\n".join(part for part in shown if part)


def conditions(results: dict[str, Any]) -> str:
    """One sentence on the machine and the documents that everything below was measured with."""
    if "machine" not in results:
        return "Nothing has been measured."
    machine, documents = results["machine"], results.get("documents")
    told = f"{machine['processor']}, {machine['threads']} threads, torch {machine['torch']}"
    if documents:
        told += (
            f"; {documents['source']}, decoding with gold scores planted ({documents['mentions']:.1f} mentions each)"
        )
    return f"{told}."


def ratio_table(results: dict[str, Any]) -> str:
    """The ratios to the encoder alone, each with its target, and of how many rounds they are the medians."""
    rows = []
    for precision in FORMATS:
        part = results if precision == "fp32" else results.get(precision, {})
        for size, shown in SIZES.items():
            for phase, named in PHASES.items():
                for floor, name in (("plain", "ratios"), ("own", "ratios_own")):
                    ratios = part.get(name, {}).get(size, {}).get(phase)
                    if not ratios:
                        continue
                    targets = TARGETS.get((phase, floor, size), {}) if precision == "fp32" else {}
                    cells = [with_target(ratios.get(system), targets.get(system[-3:])) for system in SYSTEMS]
                    rounds = rounds_of(results, f"{size} {phase} {precision}")
                    rows.append([f"{shown}, {named} / {floor} encoder", precision, str(rounds), *cells])
    return markdown(["", "format", "rounds", *(f"`{name}`" for name in SYSTEMS.values())], rows)


def with_target(ratio: float | None, target: float | None) -> str:
    """A ratio beside what it should not exceed; empty where it was not measured."""
    if ratio is None:
        return ""
    return f"{ratio:.2f}" + (f" (≤ {target})" if target else "")


def rounds_of(results: dict[str, Any], key: str) -> int:
    """The fewest rounds that anything of a slice was measured in."""
    return min(len(parts["total"]) for parts in results["readings"][key].values())


def share_table(results: dict[str, Any]) -> str:
    """The share of decoding that is Python: neither the encoder nor a head."""
    rows = []
    for precision in FORMATS:
        part = results if precision == "fp32" else results.get(precision, {})
        for size, shares in part.get("python_share", {}).items():
            cells = [f"{100 * shares[system]:.1f} %" if system in shares else "" for system in SYSTEMS]
            if any(cells):
                rows.append([f"{SIZES[size]}, {precision}", *cells])
    return markdown(["Python part of decoding (≤ 5 %)", *(f"`{name}`" for name in SYSTEMS.values())], rows)


def parts_table(results: dict[str, Any]) -> str:
    """The median milliseconds of every part of a training step and of decoding."""
    rows = []
    for precision in FORMATS:
        part = results if precision == "fp32" else results.get(precision, {})
        for size, phases in part.get("parts", {}).items():
            for phase, systems in phases.items():
                for what, parts in systems.items():
                    cells = [f"{1e3 * parts[name]:.1f}" if name in parts else "" for name in PARTS]
                    rows.append([f"{SIZES[size]}, {PHASES[phase]}, {precision}, {what}", *cells])
    return markdown(["milliseconds", *PARTS], rows)


def memory_table(results: dict[str, Any]) -> str:
    """Peak memory, and over that of our own encoder."""
    columns = {PLAIN: PLAIN, OWN: OWN, **SYSTEMS}
    rows = [
        [f"{SIZES[size]}, {PHASES[phase]}"]
        + [f"{peaks[what]:.0f} ({peaks[what] / peaks[OWN]:.2f})" if what in peaks else "" for what in columns]
        for size, phases in results.get("peak_mib", {}).items()
        for phase, peaks in phases.items()
    ]
    return markdown(["peak MiB (over own encoder, ≤ 1.3)", *columns.values()], rows)


def length_table(results: dict[str, Any]) -> str:
    """How seconds and peak grow with the length of one document."""
    return grown_table(results.get("growth", {}), "one document of so many pieces")


def number_table(results: dict[str, Any]) -> str:
    """How seconds a document and peak grow with the number of documents decoded in a call or trained in a step."""
    return grown_table(results.get("growth_documents", {}), "so many documents at once, per document")


def grown_table(growth: dict[str, Any], what: str) -> str:
    """Seconds and MiB at each amount."""
    blocks = []
    for phase, named in PHASES.items():
        found = {
            f"{SIZES[size]}, {named}, {name}": amounts
            for size, phases in growth.items()
            for name, amounts in phases.get(phase, {}).items()
        }
        amounts = sorted({int(amount) for row in found.values() for amount in row})
        rows = [
            [name]
            + [
                f"{row[str(n)]['seconds']:.3f} s, {row[str(n)]['peak_mib']:.0f} MiB" if str(n) in row else ""
                for n in amounts
            ]
            for name, row in found.items()
        ]
        blocks.append(markdown([what, *map(str, amounts)], rows))
    return "\n\n".join(block for block in blocks if block)


def startup_table(results: dict[str, Any]) -> str:
    """Seconds of fresh processes and of preparation."""
    return markdown(["", "seconds"], [[what, f"{one:.2f}"] for what, one in results.get("startup", {}).items()])


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; nothing where there are no rows."""
    if not rows:
        return ""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
