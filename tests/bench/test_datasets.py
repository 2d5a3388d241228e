import math
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.bench import Order, Shape
from soulcaster.bench.datasets import (
    FEW_CLASSES,
    LabelledFile,
    OfSet,
    Stream,
    combined,
    embed,
    read_labelled,
    read_vectors,
    sampled,
    stream,
)
from soulcaster.errors import BadInput
from tests.bench.make import labelled, write

SIZES = st.lists(st.integers(1, 12), min_size=1, max_size=25)
SHAPES = st.sampled_from(["as-is", "zipf", "few-per-class", "few-classes", "near-singletons"])
ORDERS = st.sampled_from(["arrival", "shuffled", "topic"])
SEEDS = st.integers(0, 1000)


# ---- reading -----------------------------------------------------------------------------------------------------


def test_rows_are_read_as_production_reads_them(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv",
        "head,said,kind,n\nLate,It is  late.\u200b,delay,1\nIt is late,It is late again,delay,2\n,Only this,other,3\n",
    )
    data = read_labelled(LabelledFile(path, "said", "head", "kind"))
    assert [item.text for item in data.items] == ["Late\nIt is late.", "It is late again", "Only this"]
    assert [item.title for item in data.items] == ["Late", "It is late", "Only this"]
    assert (data.labels, data.rows.tolist(), data.rows_in_file) == (("delay", "delay", "other"), [0, 1, 2], 3)
    assert len({item.id for item in data.items}) == 3


def test_without_a_title_column_a_title_is_not_compared(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "title,text,label\nLate,It is late.,x\n")
    assert [item.text for item in read_labelled(LabelledFile(path, "text", None, "label")).items] == ["It is late."]


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_zero_and_false_are_labels(tmp_path: Path, suffix: str) -> None:
    rows = [("one", "0"), ("two", "0"), ("three", "false")]
    if suffix == "csv":
        content = "text,label\n" + "".join(f"{text},{label}\n" for text, label in rows)
    else:
        content = "".join(f'{{"text": "{text}", "label": {label}}}\n' for text, label in rows)
    data = read_labelled(LabelledFile(write(tmp_path / f"a.{suffix}", content), "text", None, "label"))
    assert [len({data.labels[i] for i in part}) for part in ((0, 1), (0, 1, 2))] == [1, 2]


def test_the_same_text_in_two_rows_is_two_items(tmp_path: Path) -> None:
    data = read_labelled(LabelledFile(write(tmp_path / "a.csv", "text,label\nsame,x\nsame,x\n"), "text", None, "label"))
    assert data.items[0].id != data.items[1].id


def test_a_row_without_text_is_left_out_and_vectors_stay_with_their_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,label\none,x\n \u200b,x\nthree,y\n")
    data = read_labelled(LabelledFile(path, "text", None, "label"))
    assert ([item.text for item in data.items], data.rows.tolist(), data.rows_in_file) == (["one", "three"], [0, 2], 3)
    np.save(tmp_path / "v.npy", np.array([[3, 4], [1, 0], [0, 2]], np.float16))
    vectors = read_vectors(tmp_path / "v.npy", data)
    assert vectors.dtype == np.float32
    assert vectors == pytest.approx(np.array([[0.6, 0.8], [0, 1]]))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("said,label\nx,y\n", r"no column 'text'; its columns are: said, label"),
        ("text,kind\nx,y\n", r"no column 'label'; its columns are: text, kind"),
        ("text,label\na,x\nb,\nc,\nd, \n", r"3 rows have no label in column 'label' \(lines 3, 4, 5\)"),
        ("text,label\n" + "a,\n" * 9, r"9 rows .* \(lines 2, 3, 4, 5, 6, ...\)"),
        ("text,label\na,b,c\n", r"row 1 \(line 2\) has 3 fields"),
        ("text,label\n ,x\n", "no rows with text in column 'text'"),
        ("text,label\n", "no rows with text in column 'text'"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, content: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        read_labelled(LabelledFile(write(tmp_path / "a.csv", content), "text", None, "label"))


def test_a_title_column_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no column 'subject'"):
        read_labelled(LabelledFile(write(tmp_path / "a.csv", "text,label\na,x\n"), "text", "subject", "label"))


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.ones((3, 2)), "has 3 rows, the texts have 2: give one for each"),
        (np.ones(2), "not a .npy of one row of numbers"),
        (np.ones((2, 0)), "not a .npy of one row of numbers"),
        (np.array([["a"], ["b"]]), "not a .npy of one row of numbers"),
        (np.array([[object()], [None]], object), "cannot be read"),
        (np.array([[1.0], [np.nan]]), "not finite"),
        (np.array([[1.0], [np.inf]]), "not finite"),
    ],
)
def test_vectors_that_cannot_be_used_say_why(tmp_path: Path, array: np.ndarray, says: str) -> None:
    data, _ = labelled([2])
    np.save(tmp_path / "v.npy", array)
    with pytest.raises(BadInput, match=says):
        read_vectors(tmp_path / "v.npy", data)


def test_a_file_that_holds_no_vectors_says_so(tmp_path: Path) -> None:
    data, _ = labelled([2])
    with pytest.raises(BadInput, match="cannot be read"):
        read_vectors(tmp_path / "missing.npy", data)
    with pytest.raises(BadInput, match="cannot be read"):
        read_vectors(write(tmp_path / "text.npy", "no vectors"), data)
    np.savez(tmp_path / "many.npz", a=np.ones((2, 2)))
    with pytest.raises(BadInput, match=r"not a \.npy"):
        read_vectors(tmp_path / "many.npz", data)


def test_a_vector_of_zeros_stays_one(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.array([[0, 0], [0, 5]], np.float32))
    assert read_vectors(tmp_path / "v.npy", labelled([2])[0]).tolist() == [[0, 0], [0, 1]]


def test_texts_are_embedded_by_the_shipped_model(tmp_path: Path) -> None:
    data = read_labelled(
        LabelledFile(write(tmp_path / "a.csv", "text,label\nmy card,x\nmy card,x\ntea,y\n"), "text", None, "label")
    )
    done: list[int] = []
    _, vectors = embed(data, "static", done.append)
    cosines = vectors @ vectors.T
    assert done == [3]
    assert np.diag(cosines) == pytest.approx(1, abs=1e-5)
    assert cosines[0, 1] == pytest.approx(1, abs=1e-5)
    assert cosines[0, 2] < 0.9
    with pytest.raises(BadInput, match="is not an embedder: give one of static, small, multilingual, or a folder"):
        embed(data, str(tmp_path))
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        write(tmp_path / name, "{}")
    with pytest.raises(BadInput, match="cannot be read"):
        embed(data, str(tmp_path))


# ---- shapes and orders -------------------------------------------------------------------------------------------


def rows_of(found: Stream) -> list[int]:
    return [round(float(one / two)) for one, two in found.vectors]


def sizes_of(found: Stream) -> list[int]:
    return sorted(Counter(found.labels).values(), reverse=True)


@given(SIZES, SHAPES, ORDERS, SEEDS)
def test_items_keep_their_vectors_and_labels_and_none_comes_twice(
    sizes: list[int], shape: Shape, order: Order, seed: int
) -> None:
    data, vectors = labelled(sizes)
    found = stream(data, vectors, shape, order, seed)
    rows = rows_of(found)
    assert len(found.items) == len(found.labels) == len(set(rows)) == len(rows) > 0
    assert [item.id for item in found.items] == [data.items[row].id for row in rows]
    if shape != "few-classes":
        assert list(found.labels) == [data.labels[row] for row in rows]
        assert set(found.labels) == set(data.labels)
    times = [item.created_at for item in found.items]
    assert times == sorted(set(times))


@given(SIZES, SHAPES, ORDERS, SEEDS)
def test_the_seed_gives_the_same_stream_again(sizes: list[int], shape: Shape, order: Order, seed: int) -> None:
    data, vectors = labelled(sizes)
    one, again = stream(data, vectors, shape, order, seed), stream(data, vectors, shape, order, seed)
    assert (one.items, one.labels) == (again.items, again.labels)


def test_another_seed_gives_another_stream() -> None:
    data, vectors = labelled([20] * 20)
    for shape in ("zipf", "few-per-class", "near-singletons"):
        kept = {tuple(rows_of(stream(data, vectors, shape, "arrival", seed))) for seed in range(5)}
        assert len(kept) == 5
    for order in ("shuffled", "topic"):
        assert len({tuple(rows_of(stream(data, vectors, "as-is", order, seed))) for seed in range(5)}) == 5


@given(SIZES, SHAPES, SEEDS)
def test_arrival_is_the_order_of_the_file(sizes: list[int], shape: Shape, seed: int) -> None:
    rows = rows_of(stream(*labelled(sizes), shape, "arrival", seed))
    assert rows == sorted(rows)
    if shape == "as-is":
        assert rows == list(range(sum(sizes)))


@given(SIZES, SHAPES, SEEDS)
def test_topics_come_one_after_the_other(sizes: list[int], shape: Shape, seed: int) -> None:
    labels = stream(*labelled(sizes), shape, "topic", seed).labels
    changes = sum(one != other for one, other in pairwise(labels))
    assert changes == len(set(labels)) - 1


@given(SIZES, SHAPES, SEEDS)
def test_an_order_changes_nothing_but_the_order(sizes: list[int], shape: Shape, seed: int) -> None:
    kept = [set(rows_of(stream(*labelled(sizes), shape, order, seed))) for order in ("arrival", "shuffled", "topic")]
    assert kept[0] == kept[1] == kept[2]


def test_shuffled_mixes_topics_and_topic_mixes_their_items() -> None:
    data, vectors = labelled([30] * 5)
    shuffled = stream(data, vectors, "as-is", "shuffled", 1)
    assert len(set(shuffled.labels[:30])) > 2
    firsts = set()
    for seed in range(8):
        topic = stream(data, vectors, "as-is", "topic", seed)
        firsts.add(topic.labels[0])
        assert rows_of(topic)[:30] != sorted(rows_of(topic)[:30])
    assert len(firsts) > 2


def test_zipf_falls_with_the_rank() -> None:
    found = stream(*labelled([40] * 50), "zipf", "shuffled", 3)
    assert sizes_of(found) == [max(1, round(40 / rank)) for rank in range(1, 51)]


def test_zipf_starts_from_the_size_of_the_largest_wherever_it_stands() -> None:
    data, vectors = labelled([40] + [25] * 30)
    largest_first = [40, 20, *(max(1, round(40 / rank)) for rank in range(3, 32))]
    seen = set()
    for seed in range(8):
        found = stream(data, vectors, "zipf", "shuffled", seed)
        assert sizes_of(found) in (largest_first, [25, *largest_first[1:]])
        seen.add(Counter(found.labels).most_common(1)[0][0])
    assert len(seen) > 3  # the order of the classes is random


@given(SIZES, SEEDS)
def test_zipf_takes_no_more_than_there_are(sizes: list[int], seed: int) -> None:
    found = Counter(stream(*labelled(sizes), "zipf", "shuffled", seed).labels)
    own = [found[f"class {of}"] for of in range(len(sizes))]
    assert all(1 <= taken <= there for taken, there in zip(own, sizes, strict=True))
    assert sum(own) <= sum(max(1, round(max(sizes) / rank)) for rank in range(1, len(sizes) + 1))


@given(SIZES, SEEDS)
def test_few_per_class(sizes: list[int], seed: int) -> None:
    found = Counter(stream(*labelled(sizes), "few-per-class", "shuffled", seed).labels)
    assert found == {f"class {of}": min(3, there) for of, there in enumerate(sizes)}


@given(st.integers(1, 60), SEEDS)
def test_near_singletons(classes: int, seed: int) -> None:
    found = sizes_of(stream(*labelled([5] * classes), "near-singletons", "shuffled", seed))
    more = math.ceil(classes / 10)
    assert set(found[:more]) <= {2, 3}
    assert found[more:] == [1] * (classes - more)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=60), SEEDS)
def test_few_classes_are_large_ones_whole(sizes: list[int], seed: int) -> None:
    data, vectors = labelled(sizes)
    found = stream(data, vectors, "few-classes", "shuffled", seed)
    kept = Counter(found.labels)
    assert len(kept) == min(FEW_CLASSES, len(sizes))
    assert kept == {label: Counter(data.labels)[label] for label in kept}
    assert min(kept.values()) >= sorted(sizes, reverse=True)[: 2 * FEW_CLASSES][-1]


# ---- mixed -------------------------------------------------------------------------------------------------------


def test_two_sets_are_one_with_labels_apart() -> None:
    first, second = labelled([2, 3], ["card", "top-up"]), labelled([4], ["tea"])
    data, vectors = combined([first, second])
    assert len(data.items) == len(vectors) == data.rows_in_file == 9
    assert len(set(data.labels)) == 3
    assert data.labels[:5] == tuple(OfSet(0, label) for label in first[0].labels)
    assert data.rows.tolist() == list(range(9))


def test_a_set_is_not_mixed_with_itself() -> None:
    demo = read_labelled(LabelledFile())
    vectors = np.zeros((len(demo.items), 2), np.float32)
    part = replace(demo, items=demo.items[::3], labels=demo.labels[::3])
    with pytest.raises(BadInput, match="Sets 1 and 2 have the same texts"):
        combined([(part, vectors[::3]), (demo, vectors)])


def test_vectors_to_be_mixed_are_of_one_length() -> None:
    first, second = labelled([2], ["card"]), labelled([2], ["tea"])
    with pytest.raises(BadInput, match="2 and 3 dimensions"):
        combined([first, (second[0], np.ones((2, 3), np.float32))])


def test_any_two_of_many_sets_with_the_same_texts_are_refused() -> None:
    sets = [labelled([2], ["card"]), labelled([2], ["tea"]), labelled([2], ["card"])]
    assert len(combined(sets[:2])[0].items) == 4
    with pytest.raises(BadInput, match="Sets 1 and 3 have the same texts"):
        combined(sets)


# ---- samples -----------------------------------------------------------------------------------------------------


def test_a_sample_has_random_items_with_their_own_labels_and_vectors() -> None:
    data, vectors = labelled([30, 20, 10])
    part, rows = sampled(data, vectors, 12, 1)
    taken = rows[:, 0].astype(int).tolist()
    assert len(set(taken)) == len(part.items) == 12
    assert taken == sorted(taken) == part.rows.tolist()
    assert [part.items[i].id for i in range(12)] == [data.items[row].id for row in taken]
    assert [part.labels[i] for i in range(12)] == [data.labels[row] for row in taken]
    assert sampled(data, vectors, 12, 2)[1].tolist() != rows.tolist()
