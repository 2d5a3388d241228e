"""`make faults`: every fault with each of its seeds, one after the other; what has a result already is left out."""

import argparse
import asyncio
import logging
import shutil
import sys
import time
import traceback
from datetime import UTC, datetime

import pytest

from tests.faults.catalog import FAULTS
from tests.faults.fault import Outcome, run
from tests.faults.results import COLLECTED, FOLDER, ROOT, Result, Results, code_id, sources, table
from tests.faults.site import SHORT, Scale

REPORT = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- made by `make faults`: begin -->", "<!-- made by `make faults`: end -->"


def main() -> int:
    """Run what is asked for and has no result; return 0 where all is clean and timely."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--fault", type=int, action="append", choices=sorted(FAULTS), help="only this one; repeatable")
    parser.add_argument("--seed", type=int, action="append", help="only this one; repeatable")
    parser.add_argument("--short", action="store_true", help="a small load, and one seed a fault")
    parser.add_argument("--report", action="store_true", help="run nothing; write the table of what was run")
    chosen = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it logs each connection that is refused
    code = code_id()
    results = Results(FOLDER / f"short-{code}.jsonl" if chosen.short else COLLECTED)
    done = results.done(code)
    wanted = [
        (number, seed)
        for number in chosen.fault or sorted(FAULTS)
        for seed in chosen.seed or range(1 if chosen.short else FAULTS[number].seeds)
        if (number, seed) not in done
    ]
    failed = 0
    if not chosen.report:
        failed = _run_all(wanted, results, code, SHORT if chosen.short else Scale())
    found = results.newest()
    made = table([result.outcome for result in found], {number: fault.name for number, fault in FAULTS.items()})
    if not chosen.short:
        _write(f"{made}\n\n{sources(found, results.late())}")
    _say(made)
    return 1 if failed or any(not (result.outcome.clean and result.outcome.timely) for result in found) else 0


def _run_all(wanted: list[tuple[int, int]], results: Results, code: str, scale: Scale) -> int:
    """Run one after the other; return how many could not be judged."""
    failed = 0
    began = time.monotonic()
    for done, (number, seed) in enumerate(wanted):
        left = (time.monotonic() - began) / done * (len(wanted) - done) if done else 0.0
        about = f", about {left / 60:.0f} min left" if done else ""
        fault = FAULTS[number]
        _say(f"[{done + 1}/{len(wanted)}{about}] {number}. {fault.name}, seed {seed}")
        folder = FOLDER / "runs" / f"{number}-{seed}"
        shutil.rmtree(folder, ignore_errors=True)
        try:
            outcome = asyncio.run(run(fault(), seed, scale, folder))
        except pytest.skip.Exception as cannot:
            _say(f"  cannot be run here: {cannot}")
            continue
        except Exception:
            traceback.print_exc()
            _say(f"  could not be judged; its logs are in {folder}")
            failed += 1
            continue
        results.add(Result(outcome, code, f"{datetime.now(UTC):%Y-%m-%d}"))
        _say(_line(outcome))
        if outcome.clean:
            shutil.rmtree(folder)
        else:
            _say("\n".join([f"  {finding}" for finding in outcome.findings] + [f"  its logs are in {folder}"]))
    return failed


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _line(o: Outcome) -> str:
    recovered = "never" if o.recovered is None else f"after {o.recovered} s"
    return (
        f"  {o.items} items: lost {o.lost}, hidden {o.hidden}, doubled {o.doubled}; extra {o.extra}, "
        f"longest stall {o.stall} s, recovered {recovered}, {o.restarts} restarts; took {o.seconds:.0f} s"
    )


def _write(report: str) -> None:
    """Write the table into docs/reliability.md."""
    text = REPORT.read_text()
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    REPORT.write_text(f"{head}{BEGIN}\n{report}\n{END}{tail}")


if __name__ == "__main__":
    sys.exit(main())
