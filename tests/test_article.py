"""docs/vanishing-and-exploding: its code runs, its commands and pictures exist; its translation."""

import re
import shlex
from pathlib import Path

import pytest

import fastact
from fastact.lab.options import parser

DOCS = Path(__file__).parents[1] / "docs"
ENGLISH = (DOCS / "vanishing-and-exploding.md").read_text(encoding="utf-8")
CHINESE = (DOCS / "vanishing-and-exploding.zh.md").read_text(encoding="utf-8")


def blocks(page):
    """Every block of code: what is said behind its fence, and its text."""
    return re.findall(r"```(.*?)\n(.*?)```", page, re.DOTALL)


def test_the_snippets_run_in_order():
    """All of them, one after the other; those that need a function, where fastact has it."""
    namespace, run = {}, 0
    for tag, code in blocks(ENGLISH):
        needs = tag.partition(" needs=")[2]
        if tag.startswith("python") and (not needs or hasattr(fastact, needs)):
            exec(compile(code, "vanishing-and-exploding.md", "exec"), namespace)
            run += 1
    assert run >= 6


def test_the_commands_are_understood():
    lines = [line for tag, code in blocks(ENGLISH) if tag == "sh" for line in code.splitlines()]
    lines += re.findall(r"`(fastact lab [^`]+)`", ENGLISH)
    assert len(lines) == 7
    for line in lines:
        program, *arguments = shlex.split(line)
        assert program == "fastact"
        assert parser().parse_args(arguments).command == "lab"


def test_the_translation_has_the_same_code_pictures_and_sources():
    assert blocks(CHINESE) == blocks(ENGLISH)
    pictures = r"!\[[^]]+\]\((.*?)\)"
    assert re.findall(pictures, CHINESE) == re.findall(pictures, ENGLISH)
    assert CHINESE.count("\n## ") == ENGLISH.count("\n## ")
    assert CHINESE.count("\n| ") == ENGLISH.count("\n| ")
    assert (
        CHINESE.rsplit("\n## ")[-1].splitlines()[1:] == ENGLISH.rsplit("\n## ")[-1].splitlines()[1:]
    )


@pytest.mark.parametrize("page", [ENGLISH, CHINESE], ids=["english", "chinese"])
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", page):
        assert (DOCS / target).is_file(), target


def test_every_picture_is_made_by_the_tool():
    pytest.importorskip("matplotlib", reason="the lab needs fastact[lab]")
    pytest.importorskip("rich", reason="the lab needs fastact[lab]")
    from tools.article import PICTURES

    made = {f"{draw.__name__.replace('_', '-')}.png" for draw in PICTURES}
    assert made == {path.name for path in (DOCS / "article").iterdir()}
    assert made == set(re.findall(r"\(article/(.*?)\)", ENGLISH))
