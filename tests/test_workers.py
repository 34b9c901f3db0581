"""Work in blocks is the same whoever does it, and a script without a guard is told what to do."""

from concurrent.futures.process import BrokenProcessPool
from typing import Any

import pytest

from carkinetics import workers
from carkinetics.errors import ConfigError
from carkinetics.escalation import Boin, characteristics, operating_characteristics

TRUTH = [0.1, 0.3, 0.5]


def broken(*_: Any) -> Any:
    raise BrokenProcessPool("as in a script without a guard")


def test_where_no_process_can_be_started_this_one_goes_on_with_the_same_result(
    monkeypatch: pytest.MonkeyPatch,
):
    settings: dict[str, Any] = {"exact": False, "trials": 3000, "seed": 1}
    alone = operating_characteristics(Boin(3), TRUTH, workers=1, **settings)
    monkeypatch.setattr(workers, "_pooled", broken)
    monkeypatch.setattr(characteristics, "WORTH_A_POOL", 0.0)
    with pytest.warns(UserWarning, match="goes on alone; in a script, put the call under"):
        found = operating_characteristics(Boin(3), TRUTH, **settings)
    assert found.equals(alone)
    with pytest.raises(ConfigError, match="workers=2: other processes could not be started"):
        operating_characteristics(Boin(3), TRUTH, workers=2, **settings)


@pytest.mark.parametrize("cores", [1, 2, 3])
def test_blocks_come_back_in_their_order(monkeypatch: pytest.MonkeyPatch, cores: int):
    def here(value: int) -> tuple[str, int]:
        return "here", value

    monkeypatch.setattr(
        workers, "_pooled", lambda work, given, count, keep: [(f"by {count}", value) for (value,) in given]
    )
    found = workers.in_blocks(here, here, [(k,) for k in range(5)], workers=cores, worth=1e9, progress=False)
    assert [value for _, value in found] == list(range(5))
    assert {who for who, _ in found} == ({"here"} if cores == 1 else {"here", f"by {cores}"})


@pytest.mark.parametrize("cores", [1, 2])
def test_every_result_is_handed_over_in_order_as_soon_as_it_is_there(cores: int):
    kept: list[int] = []
    found = workers.in_blocks(
        abs, abs, [(-k,) for k in range(6)], workers=cores, worth=1e9, progress=False, keep=kept.append
    )
    assert kept == found == list(range(6))
