"""Timelines in files: what stands in one is read, and what is wrong with one is said with its place."""

from __future__ import annotations

import pytest

from calotype.core.errors import CalotypeError
from calotype.generation.timeline import Cut, timeline_of
from calotype.generation.timeline_files import LARGEST, MOST, read_timeline

CHUNK = 1.375  # seconds
CUTS = (Cut(0, ("a ball, red",), 3), Cut(4, ("a cube",), 1))

FILES = {
    "plain.csv": 'start,prompt,blend\n0,"a ball, red",\n\n5.5s,a cube,1\n',
    "other order.csv": "blend,prompt,start\r\n3,\"a ball, red\",0\r\n 1 , a cube ,chunk 4\r\n",
    "marked.csv": '\ufeffStart,Prompt,Blend\n0:00,"a ball, red",3\n0:05.5,a cube,1',
    "lists.json": '[[0, "a ball, red"], ["0:05.5", "a cube", 1]]',
    "names.json": '[{"prompt": "a ball, red", "start": 0}, {"start": 5.5, "prompt": "a cube", "blend": 1}]',
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file_tells_the_same(name, tmp_path):
    (tmp_path / name).write_text(FILES[name], newline="")
    assert timeline_of(tmp_path / name, CHUNK).cuts == CUTS
    assert timeline_of(str(tmp_path / name), CHUNK).cuts == CUTS
    assert timeline_of([entry.plain for entry in read_timeline(tmp_path / name)], CHUNK).cuts == CUTS


def test_lines_are_a_start_and_a_prompt(tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_text("0 a ball, red\n\n  0:05.5   a cube\nchunk 9 a sphere\n")
    told = [(cut.chunk, *cut.texts) for cut in timeline_of(file, CHUNK).cuts]
    assert told == [(0, "a ball, red"), (4, "a cube"), (9, "a sphere")]


def test_the_published_table_is_read_by_id_with_seven_chunks_for_each_prompt(tmp_path):
    file = tmp_path / "interactive.csv"
    file.write_text('id,prompt_index,prompt,refined_prompt\n1,0,a,A\n2,1,"d,\ne",D\n2,0,c,C\n1,10,z,Z\n1,2,b,B\n')
    told = {each: [(cut.chunk, *cut.texts) for cut in timeline_of(read_timeline(file, each), 1).cuts] for each in "12"}
    assert told == {"1": [(0, "a"), (7, "b"), (14, "z")], "2": [(0, "c"), (7, "d,\ne")]}
    with pytest.raises(CalotypeError, match="Choose one of 1, 2"):
        read_timeline(file)
    with pytest.raises(CalotypeError, match="one of 1, 2, found '3'"):
        read_timeline(file, "3")


WRONG = {
    "nothing.csv": (b"", "nothing.csv, line 1"),
    "header.csv": (b"time,text\n0,a\n", "header.csv, line 1: expected a header"),
    "no rows.csv": (b"start,prompt\n", "a prompt at least"),
    "columns.csv": (b"start,prompt\n0,a ball, red\n", "columns.csv, line 2: expected 2 columns, found 3"),
    "quote.csv": (b'start,prompt\n0,"a\n', "quote.csv, line 2"),
    "order.csv": (b"start,prompt\n0,a\n9,b\n5,c\n", "order.csv, line 4: start: .*order of time"),
    "twice.csv": (b"start,prompt\n0,a\n5,b\n5.1,c\n", "twice.csv, line 4: start"),
    "late.csv": (b"start,prompt\n3,a\n", "late.csv, line 2: start: expected 0"),
    "time.csv": (b"start,prompt\nsoon,a\n", "time.csv, line 2: start: .*'soon'"),
    "minus.csv": (b"start,prompt\n-1,a\n", "minus.csv, line 2: start"),
    "nan.csv": (b"start,prompt\nnan,a\n", "nan.csv, line 2: start"),
    "blend.csv": (b"start,prompt,blend\n0,a,long\n", "blend.csv, line 2, column blend.*'long'"),
    "zero.csv": (b"start,prompt,blend\n0,a,0\n", "zero.csv, line 2: blend"),
    "no prompt.csv": (b"start,prompt\n0,\n", "no prompt.csv, line 2: prompt"),
    "index.csv": (b"id,prompt_index,prompt\n1,x,a\n", "index.csv, line 2, column prompt_index"),
    "again.csv": (b"id,prompt_index,prompt\n1,0,a\n1,0,b\n", "again.csv, line 3, column prompt_index"),
    "binary.csv": (b"start,prompt\n0,\0\0", "binary.csv, line 2: expected text in UTF-8, found byte 0x00"),
    "letters.txt": (b"0 a\n5 \xff\n", "letters.txt, line 2: .*0xff"),
    "word.txt": (b"0 a\nword\n", "word.txt, line 2"),
    "broken.json": (b'[[0, "a"],\n [5 "b"]]', "broken.json, line 2, column 5"),
    "object.json": (b"{}", "object.json: expected a list"),
    "entry.json": (b'[[0, "a"], [1]]', "entry.json, entry 2"),
    "key.json": (b'[{"start": 0, "text": "a"}]', "key.json, entry 1"),
    "number.json": (b'[[0, "a"], [5, 7]]', "number.json, entry 2: prompt"),
    "deep.json": (b"[" * 100_000, "deep.json"),
    "film.mp4": (b"0 a", "film.mp4.*.csv, .json, .txt"),
    "huge.csv": (b"start,prompt\n" + b"0,a\n" * (LARGEST // 4), "huge.csv: expected at most"),
    "many.txt": (b"".join(b"%d a\n" % i for i in range(MOST + 1)), "at most 10,000 prompts"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_with_its_place(name, tmp_path):
    content, told = WRONG[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CalotypeError, match=told):
        timeline_of(tmp_path / name, CHUNK)


def test_what_is_no_file_is_refused(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(CalotypeError, match=str(path)):
            read_timeline(path)
