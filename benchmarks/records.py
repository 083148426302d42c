"""What was measured, kept as JSON, and shown in the README."""

from __future__ import annotations

import json
import platform
import re
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks.question import ROOT, Answer

RECORDS = Path(__file__).parent / "records"
README = ROOT / "README.md"
BEGIN, END = "<!-- benchmarks -->", "<!-- /benchmarks -->"


def machine() -> dict[str, Any]:
    """The machine and the versions on it."""
    told = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    named = re.search(r"^model name\s*: (.+)$", told, re.MULTILINE)
    return {
        "cpu": named[1] if named else platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "system": platform.system(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "diffusers", "transformers")},
    }


def keep(answer: Answer) -> Path:
    """Write into the record of today, in which a newer answer replaces an older one."""
    here, today = machine(), datetime.now(timezone.utc).date().isoformat()
    slug = re.sub(r"[^a-z0-9]+", "-", f"{here['cpu']} {here['threads']} threads".lower()).strip("-")
    path = RECORDS / f"{slug}-{today}.json"
    before = json.loads(path.read_text())["answers"] if path.exists() else {}
    record = {"machine": here, "date": today, "answers": before | {answer.name: answer.to_json()}}
    RECORDS.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=2) + "\n")
    return path


def table(record: dict[str, Any]) -> str:
    """A record as a table in Markdown."""
    told = record["machine"]
    lines = [
        f"{told['cpu']}, {told['threads']} threads, torch {told['torch']}, diffusers {told['diffusers']},"
        f" transformers {told['transformers']}, {record['date']}; medians, and the median of the ratios:",
        "",
        "| | ours | the other | ratio | goal |",
        "| --- | ---: | ---: | ---: | --- |",
    ]
    for found in record["answers"].values():
        answer = Answer(**{key: found[key] for key in Answer.__dataclass_fields__})
        lines.append(answer.row())
    return "\n".join(lines)


def newest() -> dict[str, Any]:
    """The newest record, and older answers of the same machine and versions to what it was not asked."""
    found = sorted((json.loads(path.read_text()) for path in RECORDS.glob("*.json")), key=lambda record: record["date"])
    same = [record for record in found if record["machine"] == found[-1]["machine"]]
    answers = {name: answer for record in same for name, answer in record["answers"].items()}
    return found[-1] | {"date": " to ".join(sorted({same[0]["date"], same[-1]["date"]})), "answers": answers}


def renew_readme() -> None:
    """Put the table of the newest answers between the README's two markers."""
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    shown = table(newest())
    README.write_text(f"{before}{BEGIN}\n{shown}\n{END}{after}", encoding="utf-8")
