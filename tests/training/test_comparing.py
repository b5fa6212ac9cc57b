"""Two runs side by side."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from models.registry import NoRegistry, Registry
from training.comparing import compare, table

Maker = Callable[[str], Any]


def shown(told: Any, one: str, other: str) -> str:
    """The comparison as a wide terminal shows it."""
    console = Console(width=200, record=True, file=None)
    with console.capture() as page:
        console.print(table(compare(told.registry, one, other)))
    return page.get()


def test_a_run_is_named_by_its_id_the_beginning_of_it_or_a_model(told: Any, maker: Maker) -> None:
    run_id = maker("dns/2").info.run_id
    for name in (run_id, run_id[:20], "dns/2", "secmesh-dns/2", "dns@champion"):
        assert compare(told.registry, name, "dns/1").runs[0].run_id == run_id
    assert compare(told.registry, "release/1", "release@champion").runs[1].run_id == told.releases[1].run_id


def test_only_settings_that_differ_are_told_and_all_metrics(told: Any, maker: Maker) -> None:
    compared = compare(told.registry, "dns/1", "dns@champion")
    assert compared.params == {"seed": ("1", "2")}
    losses = maker("dns/1").data.metrics["final_loss"], maker("dns/2").data.metrics["final_loss"]
    assert compared.metrics["final_loss"] == losses
    assert compared.data[0] == compared.data[1] != ()
    assert not any(name.startswith("system/") for name in compared.metrics)


def test_what_only_one_run_has_is_beside_nothing(told: Any) -> None:
    compared = compare(told.registry, "dns/1", "cloud/1")
    assert compared.params["vocabulary site"][1] is None
    assert compared.data[0][0].digest != compared.data[1][0].digest
    assert "dns events" in (page := shown(told, "dns/1", "cloud/1"))
    assert "cloud events" in page


def test_a_run_beside_itself_differs_in_nothing(told: Any) -> None:
    compared = compare(told.registry, "dns/1", "dns/1")
    assert compared.params == {}
    assert all(one == other for one, other in compared.metrics.values())


def test_the_table_tells_data_settings_and_how_far_metrics_moved(told: Any, maker: Maker) -> None:
    page = shown(told, "dns/1", "dns/2")
    one, other = (maker(name).data.metrics["final_loss"] for name in ("dns/1", "dns/2"))
    assert f"{other - one:+,.4g} ({(other - one) / one:+.1%})" in page
    assert "400 dns events for training" in page
    assert any("seed" in line and "1" in line and "2" in line for line in page.splitlines())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("dns/9", "no secmesh-dns version 9"),
        ("dns@nobody", "no nobody of secmesh-dns"),
        ("mail@champion", "no model 'mail@champion': write NAME@ALIAS.*of release, identity"),
        ("dns@", "no model 'dns@'"),
        ("dns/x", "no model 'dns/x'"),
        ("0000000000000000000000000000000g", "no run"),
    ],
)
def test_what_is_not_there_is_named(told: Any, name: str, said: str) -> None:
    with pytest.raises(NoRegistry, match=said):
        compare(told.registry, name, "dns/1")


def test_texts_of_runs_cannot_steer_the_terminal(registry: Registry) -> None:
    ids = []
    for value in ("[red]a[/red]\x1b[2J", "b"):
        with registry.run("secmesh", value, {"path": value}, {}) as run:
            span = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
            run.log_input(value, "00", 1, span, "training")
        ids.append(run.run_id)
    console = Console(width=200, color_system="truecolor", force_terminal=True)
    with console.capture() as page:
        console.print(table(compare(registry, *ids)))
    assert "\x1b[2J" not in page.get()
    assert page.get().count("[red]a[/red]") >= 3
