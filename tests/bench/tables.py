"""What `bench.json` says as Markdown tables, as the README shows them, the machine named."""

from typing import Any

from tests.bench.material import SYSTEMS
from tests.bench.targets import (
    MEMORY,
    PHASES,
    SECONDS,
    SHARE_NAMES,
    SHARES,
    SIZES,
    ratio_limit,
    verdict,
    within_noise,
)
from tests.bench.training import OWN, PLAIN

FORMATS = ("fp32", "bf16")
PARTS = ("sampling", "collation", "forward", "backward", "optimiser", "encoder", "heads", "python", "total")


def report(results: dict[str, Any]) -> str:
    """All tables for which there is something to show."""
    tables = (
        ratio_table,
        share_table,
        parts_table,
        memory_table,
        length_table,
        number_table,
        precision_table,
        startup_table,
        verdict,
    )
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
                    limits = {
                        system: ratio_limit(phase, floor, size, system) if precision == "fp32" else None
                        for system in SYSTEMS
                    }
                    cells = [beside(ratios.get(system), limit) for system, limit in limits.items()]
                    rounds = rounds_of(results, f"{size} {phase} {precision}")
                    rows.append([f"{shown}, {named} / {floor} encoder", precision, str(rounds), *cells])
    return markdown(["", "format", "rounds", *(f"`{name}`" for name in SYSTEMS.values())], rows)


def beside(value: float | None, limit: float | None, shown: str = "{:.2f}") -> str:
    """A value beside what it should not exceed, and whether it does; empty where it was not measured."""
    if value is None:
        return ""
    told = shown.format(value)
    if limit is None:
        return told
    return f"{told} (≤ {limit})" if value <= limit else f"{told} (≤ {limit}: MISSED)"


def rounds_of(results: dict[str, Any], key: str) -> int:
    """The fewest rounds that anything of a slice was measured in."""
    return min(len(parts["total"]) for parts in results["readings"][key].values())


def share_table(results: dict[str, Any]) -> str:
    """The share of decoding that is neither the encoder nor a head, and of a step that is sampling and collation."""
    rows = []
    for precision in FORMATS:
        part = results if precision == "fp32" else results.get(precision, {})
        for name, limit in SHARES.items():
            for size, shares in part.get(name, {}).items():
                percent = {system: 100 * share for system, share in shares.items()}
                cells = [beside(percent.get(system), 100 * limit, "{:.1f}") for system in SYSTEMS]
                if any(cells):
                    rows.append([f"{SIZES[size]}, {SHARE_NAMES[name]}, {precision}", *cells])
    return markdown(["percent", *(f"`{name}`" for name in SYSTEMS.values())], rows)


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
    """Peak memory and over that of our own encoder; and the same of what comes on top of the process at rest."""
    columns = {PLAIN: PLAIN, OWN: OWN, **SYSTEMS}
    rows = []
    for size, phases in results.get("peak_mib", {}).items():
        for phase, peaks in phases.items():
            rests = results["rest_mib"][size][phase]
            works = {what: peak - rests[what] for what, peak in peaks.items()}
            for name, found, limit in (("", peaks, MEMORY), (", less the process at rest", works, None)):
                cells = [
                    f"{found[what]:.0f}, {beside(found[what] / found[OWN], limit if what in SYSTEMS else None)}"
                    if what in found
                    else ""
                    for what in columns
                ]
                rows.append([f"{SIZES[size]}, {PHASES[phase]}{name}", *cells])
    return markdown(["peak MiB, and over own encoder", *columns.values()], rows)


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


def precision_table(results: dict[str, Any]) -> str:
    """F1 after training in either format, and what bf16 changes, paired by seed."""
    if not results.get("bf16_f1"):
        return ""
    found = results["bf16_f1"]
    cells = [f"{found[row]['mean']:.2f} ± {found[row]['std']:.2f} (n = {found[row]['seeds']})" for row in FORMATS]
    paired = found["difference"]
    size, noise = within_noise(found)
    told = f"{paired['mean']:+.2f} [{paired['low']:+.2f}, {paired['high']:+.2f}]"
    told += ", within the std over seeds" if size <= noise else f", beyond the std over seeds ({noise:.2f}: MISSED)"
    row = ["embedded corpus, `memory-mrc`, strict relation F1", *cells, told]
    return markdown(["trained in", *FORMATS, "bf16 - fp32, paired by seed [95 %]"], [row])


def startup_table(results: dict[str, Any]) -> str:
    """Seconds of fresh processes and of preparation."""
    rows = [[what, beside(one, SECONDS[what])] for what, one in results.get("startup", {}).items()]
    return markdown(["", "seconds"], rows)


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; nothing where there are no rows."""
    if not rows:
        return ""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
