"""Pages that print shell lines and their answers: the lines are run, and the answers compared."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.helpers.processes import ROOT, Run, environment

# The address that pages print.
PRINTED_URL = "http://127.0.0.1:8000"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$|^#+ ([^\n]+)$", re.M | re.S)
END_OF_BLOCK = "\x1e"
LEFT_OUT = "…"
# What differs from run to run. Where a page prints the same twice, both runs have it twice.
IDS = {
    "id": r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "code": r"\b(?:[B-DF-HJ-NP-TV-XZ]{4}-?){3}\b",
    "key": r"\b(?:[0-9A-HJKMNP-TV-Z]{5}-){4}[0-9A-HJKMNP-TV-Z]{6}\b",
    "ETag": r"W/\"[0-9a-f]+\"",
}
TIMES = {"timestamp": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z"}
DAYS = {"day": r"\d{4}-\d\d-\d\d"}


@dataclass(frozen=True)
class Step:
    """A block of shell lines, with the answer that is printed under it, if there is one."""

    page: str
    section: str
    lines: str
    answer: str | None = None
    is_json: bool = False


def steps(path: Path) -> list[Step]:
    """Return the blocks of shell lines of a page, in its order."""
    found: list[Step] = []
    section = ""
    for language, block, heading in BLOCK.findall(path.read_text()):
        if heading:
            section = heading
        elif language == "sh":
            found.append(Step(path.name, section, block))
        elif found and found[-1].answer is None:
            last = found.pop()
            found.append(replace(last, answer=block, is_json=language == "json"))
    return found


def outputs(steps: list[Step], server: Run) -> list[str]:
    """Run blocks one after the other in one shell beside a server; return what each printed."""
    script = f"; printf '{END_OF_BLOCK}'\n".join([*(f"{{\n{step.lines}}}" for step in steps), ""])
    script = script.replace(PRINTED_URL, f"http://127.0.0.1:{server.port}")
    script = script.replace(".venv/bin/python", sys.executable)
    shell = subprocess.run(
        ["bash", "-c", script],
        cwd=ROOT,
        env=environment(server.data_dir),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (shell.returncode, shell.stderr) == (0, ""), shell
    *printed, rest = shell.stdout.split(END_OF_BLOCK)
    assert rest == ""
    return [output.replace(f"http://127.0.0.1:{server.port}", PRINTED_URL) for output in printed]


class Comparison:
    """Compares what a page prints with what a run answered, over all of its answers.

    `…` stands for what the page leaves out. In a section whose answers follow from today's date,
    any number and any day is as good as another.
    """

    def __init__(self, dated: Collection[str] = ()) -> None:
        self.dated = dated
        self.met: dict[str, str] = {}

    def compare(self, step: Step, output: str) -> None:
        assert step.answer is not None
        where = f"{step.page}, {step.section}: {step.lines}"
        dated = step.section in self.dated
        if step.is_json:
            self.compare_values(parse(step.answer), json.loads(output), where, dated=dated)
        else:
            self.compare_texts(step.answer.strip(), output.strip(), where, dated=dated)

    def compare_values(self, printed: Any, actual: Any, where: str, *, dated: bool) -> None:
        if isinstance(printed, dict) and isinstance(actual, dict):
            names = dict(zip(printed, actual, strict=False))
            if LEFT_OUT in printed:
                names = {name: name for name in printed if name != LEFT_OUT}
            else:
                assert len(printed) == len(actual), where
            for name, its_name in names.items():
                self.compare_texts(name, its_name, where, dated=dated)
                # Which nutrients are unknown depends on the day.
                if not (dated and name == "unknown"):
                    self.compare_values(printed[name], actual[its_name], where, dated=dated)
        elif isinstance(printed, list) and isinstance(actual, list):
            if printed[-1:] == [LEFT_OUT]:
                printed.pop()
                assert len(printed) < len(actual), where
            else:
                assert len(printed) == len(actual), where
            for one, other in zip(printed, actual, strict=False):
                self.compare_values(one, other, where, dated=dated)
        elif isinstance(printed, str) and isinstance(actual, str):
            self.compare_texts(printed, actual, where, dated=dated)
        else:
            assert type(printed) is type(actual), where
            assert printed == actual or (dated and isinstance(printed, int | float)), where

    def compare_texts(self, printed: str, actual: str, where: str, *, dated: bool) -> None:
        if printed.endswith(LEFT_OUT):
            assert len(printed) <= len(actual), where
            return
        kinds = IDS | TIMES | (DAYS if dated else {})
        varying = re.compile("|".join(f"(?P<{name}>{kind})" for name, kind in kinds.items()))
        assert varying.sub(_kind, printed) == varying.sub(_kind, actual), where
        if not dated:
            pairs = zip(varying.finditer(printed), varying.finditer(actual), strict=True)
            for one, other in pairs:
                assert self.met.setdefault(one[0], other[0]) == other[0], (one[0], where)
        in_run = [self.met[text] for text in self.met if not re.fullmatch(TIMES["timestamp"], text)]
        assert len(set(in_run)) == len(in_run), where


def _kind(found: re.Match[str]) -> str:
    return f"<{found.lastgroup}>"


def parse(printed: str) -> Any:
    """Read printed JSON, in which `…` at the end of an object or a list stands for more of it."""
    in_list = re.sub(r"…(?: \d+ more)?(?=\s*\])", f'"{LEFT_OUT}"', printed)
    return json.loads(re.sub(r"…(?=\s*\})", f'"{LEFT_OUT}": null', in_list))
