"""Every consumer is a careful one, whoever makes it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CAREFUL = "soulcaster/adapters/kafka/careful.py"


@pytest.mark.parametrize("folder", ["soulcaster", "agents", "tables"])
def test_nobody_makes_a_consumer_of_aiokafka_itself(folder: str) -> None:
    made = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in (ROOT / folder).rglob("*.py")
        if path.relative_to(ROOT).as_posix() != CAREFUL
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "AIOKafkaConsumer"
    ]
    assert not made
