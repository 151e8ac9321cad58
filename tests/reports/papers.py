"""Papers that tests compile, where LaTeX is there."""

import shutil
import subprocess
from pathlib import Path

import pytest

ACL = r"""\documentclass[11pt,twocolumn]{article}
\usepackage[a4paper,textwidth=455.24pt,textheight=702pt,columnsep=17.07pt]{geometry}
\usepackage{times}\usepackage[T1]{fontenc}"""
TEX = shutil.which("pdflatex")
needs_latex = pytest.mark.skipif(
    TEX is None, reason="no pdflatex: apt-get install texlive-latex-recommended texlive-fonts-recommended"
)


def compile_paper(folder: Path, text: str) -> str:
    """The log of a paper, which must compile."""
    (folder / "paper.tex").write_text(text, encoding="utf-8")
    command = [str(TEX), "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    return (folder / "paper.log").read_text(errors="replace")
