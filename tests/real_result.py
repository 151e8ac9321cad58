"""The real result: finished runs of a study kept in reports/results, and the block of the README that is made of them.

    python -m tests.real_result RUNS     copies what has finished below RUNS, then renews the block and its picture
    python -m tests.real_result          renews the block and its picture (which needs pdflatex and pdftoppm)

On a machine that has none of the runs, `cp -r reports/results RUNS` in a clone of the runs' commit, and the study's
command there with `--runs RUNS`, computes the rest.

`reports/results` is a folder of runs without weights and predictions (they hold the documents' text): `engram report
attribution --runs reports/results` reads it. The block is there as soon as every row has a seed.
"""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from shutil import copy2, which
from tempfile import TemporaryDirectory

from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo
from tabulate import tabulate

from core.records.record import CONFIG, HISTORY, RECORD, RunRecord, read_record
from reports.baseline_differences import compare_to_baselines
from reports.frame import ReportData, load_study
from reports.memory_use import compare_knock_outs
from reports.page.answer import answer_study
from reports.row_means import TASK_HEADINGS
from reports.tables.latex.environments import to_latex
from reports.tables.markdown import to_markdown
from reports.tables.memory_use import memory_use_table
from reports.tables.published import PUBLISHED_ROWS
from reports.tables.results import main_table
from studies.checks import EARLIER
from studies.record import StudyRecord, find_study_record, study_folder, study_label, write_study_record
from tests.reports.papers import ACL, TEX, compile_paper

ROOT = Path(__file__).resolve().parents[1]
RESULTS, README = ROOT / "reports" / "results", ROOT / "README.md"
STUDY, PROFILE, JOBS = "attribution", "docred-small", 2
PICTURE = study_folder(RESULTS, study_label(STUDY, PROFILE)) / "table.png"
LATEX = "latex"
"""What the picture holds besides pixels: the LaTeX of the table that it shows."""
KEPT = (RECORD, CONFIG, HISTORY, "documents.*.json")
"""What is kept of a run folder."""
LIMITS = (
    "It is small: a 6-layer MiniLM in place of BERT-base, 600 training documents, a fifth of DocRED's, seven epochs. "
    "It says what each part changes where everything else is the same, on the same seeds. It does not say what these "
    "systems score with the poster's encoder, documents and epochs, nor that their order is the same there. Seeds 0 "
    "and 1 and GRC of seed 2 ran on Intel processors, MRC of seed 2 and seeds 3 and 4 on AMD's: a system and its "
    "baseline share the kind. Rounding alone makes another sample of the same seed: JEREX MRC of seed 2 ran on both, "
    "with {intel:.2f} strict relation F1 on Intel and {amd:.2f} on AMD, the one that counts; with the other in its "
    "place, residual (MRC) would not be above JEREX in all seeds."
)
ON_AMD = RESULTS / "9e7812825f06" / "s2"
ON_INTEL = ON_AMD.parent / EARLIER / "s2-13dc456"
"""The run that both kinds of processor computed; the first one is kept as `study run --rerun` keeps one."""
START, END = "<!-- real result: written by `python -m tests.real_result` -->", "<!-- end of the real result -->"


def find_study(runs: Path) -> StudyRecord:
    """The study's record in a folder of runs."""
    return find_study_record(STUDY, runs, profile=PROFILE)


def finished(study: StudyRecord, runs: Path) -> dict[tuple[str, int], RunRecord]:
    """(Row, seed) -> record, of the runs that have finished."""
    found = {}
    for row in study.row_runs:
        for seed in row.runs:
            record = read_record(runs / row.signature / f"s{seed}")
            if record is not None and record.status == "finished":
                found[row.row, seed] = record
    return found


def keep_finished(runs: Path) -> int:
    """Copy the finished runs of the study from a folder of runs; how many there are."""
    study = find_study(runs)
    signatures = {row.row: row.signature for row in study.row_runs}
    records = finished(study, runs)
    for row, seed in records:
        place = Path(signatures[row], f"s{seed}")
        (RESULTS / place).mkdir(parents=True, exist_ok=True)
        for pattern in KEPT:
            for file in (runs / place).glob(pattern):
                copy2(file, RESULTS / place / file.name)
    study_folder(RESULTS, study.label).mkdir(parents=True, exist_ok=True)
    write_study_record(RESULTS, study)
    return len(records)


def load_results() -> ReportData | None:
    """The kept records of the study and their differences, or None while a row has no seed yet."""
    study = find_study(RESULTS)
    if {row for row, _ in finished(study, RESULTS)} != set(study.study.rows):
        return None
    data = load_study(study, RESULTS)
    return replace(data, compared=compare_to_baselines(study, data.frame))


def build_latex(data: ReportData) -> str:
    """The main table in LaTeX."""
    results = main_table(data)
    assert results is not None
    return to_latex(results, STUDY)


def build_block(data: ReportData) -> str:
    """The block of the README."""
    study = data.study
    records = finished(study, RESULTS)
    results, use = main_table(data), memory_use_table(replace(data, knock_outs=compare_knock_outs(data)))
    assert results is not None
    assert use is not None
    sentences = [*answer_study(study, data.compared), *use.findings]
    published = [[row.group, row.title, *map(str, row.scores.values())] for row in PUBLISHED_ROWS]
    provenances = [record.provenance for record in records.values() if record.provenance is not None]
    commits = ", ".join(sorted({str(provenance.commit)[:7] for provenance in provenances}))
    planned = sum(len(row.runs) for row in study.row_runs)
    hours = sum(record.seconds or 0 for record in records.values()) / 3600
    memory = max(record.peak_memory_mib or 0 for record in records.values())
    shown = f"![The same as LaTeX table]({PICTURE.relative_to(ROOT)})"
    return "\n\n".join(
        [
            to_markdown(replace(results, title=study.study.question, findings=[], notes=[])).strip(),
            *([shown] if PICTURE.exists() else []),
            "\n".join(f"- {sentence}" for sentence in sentences),
            LIMITS.format(intel=strict_f1(ON_INTEL), amd=strict_f1(ON_AMD)),
            f"`engram study run {STUDY} --profile {PROFILE} --jobs {JOBS}` at commit {commits}: {len(records)} of "
            f"{planned} runs, {hours:.1f} hours of one core in all, {JOBS} at once, at most {memory / 1024:.1f} GiB a "
            f"run. The records are in reports/results: `engram report {STUDY} --runs reports/results` makes every "
            "table and the page of them.",
            "Published: other data, encoder, epochs",
            tabulate(published, ["", "System", *(TASK_HEADINGS[task] for task in TASK_HEADINGS)], tablefmt="pipe"),
        ]
    )


def strict_f1(folder: Path) -> float:
    """Strict relation F1 on test of a finished run."""
    record = read_record(folder)
    assert record is not None
    return record.metrics["test"]["relation_strict"]["f1"]


def draw_picture(latex: str) -> None:
    """The LaTeX table in a column of a paper; without LaTeX no picture, as an old one would show other numbers."""
    PICTURE.unlink(missing_ok=True)
    if TEX is None or which("pdftoppm") is None:
        print("no picture: pdflatex or pdftoppm is missing (apt-get install texlive-latex-recommended poppler-utils)")
        return
    shown = PngInfo()
    shown.add_itxt(LATEX, latex)
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "table.tex").write_text(latex, encoding="utf-8")
        body = r"\usepackage{booktabs}\pagestyle{empty}\begin{document}\input{table.tex}\end{document}"
        compile_paper(folder, f"{ACL}{body}")
        draw = ["pdftoppm", "-png", "-singlefile", "-r", "200", "paper.pdf", "paper"]
        subprocess.run(draw, cwd=folder, check=True)
        with Image.open(folder / "paper.png") as drawn:
            page = drawn.convert("L")
            picture = ImageOps.expand(page.crop(ImageOps.invert(page).getbbox()), border=16, fill=255)
            picture.save(PICTURE, pnginfo=shown)


def renew(text: str, block: str | None) -> str:
    """A README with the block between its markers."""
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    assert start + end == START + END, f"the README has to hold {START} and {END}"
    return f"{before}{start}\n{block}\n{end}{after}" if block else text


def main() -> None:
    """Keep what is finished, and renew the block."""
    if len(sys.argv) > 1:
        print(f"{keep_finished(Path(sys.argv[1]))} finished runs are in {RESULTS}")
    data = load_results()
    if data is not None:
        draw_picture(build_latex(data))
        README.write_text(renew(README.read_text(encoding="utf-8"), build_block(data)), encoding="utf-8")


if __name__ == "__main__":
    main()
