"""The contract of a catalog about paths: all of them in one change, and no change lost."""

from __future__ import annotations

from collections.abc import Callable, Coroutine

from wherry.catalog import Catalog
from wherry.core.paths import Path, Paths, Report, without
from wherry.testing.catalog.fixtures import check_no_defaults, raises, together

REPORT = Report("r", 3 << 40, 4.0, 65536, "nginx/1.22", ("s", "t"), "https://a.example/api")
PATH = Path("a.example:8443", 5.0, 1 << 40, 4.5, (REPORT,), "r")


def putting(*paths: Path) -> Callable[[Paths], Paths]:
    return lambda known: {**known, **{path.host: path for path in paths}}


async def a_recorded_path_is_loaded_unchanged(catalog: Catalog) -> None:
    check_no_defaults(PATH)
    check_no_defaults(REPORT)
    assert await catalog.paths() == {}
    both = {PATH.host: PATH, "b": Path("b", 1.0)}
    assert await catalog.update_paths(putting(*both.values())) == both
    assert await catalog.paths() == both
    newer = Path(PATH.host, 6.0, 7, 6.0)
    assert await catalog.update_paths(putting(newer)) == {**both, PATH.host: newer}
    assert await catalog.paths() == {**both, PATH.host: newer}


async def a_path_that_a_change_leaves_out_is_gone(catalog: Catalog) -> None:
    await catalog.update_paths(putting(PATH, Path("b", 1.0)))
    assert await catalog.update_paths(lambda known: without(known, ["b"])) == {PATH.host: PATH}
    assert await catalog.paths() == {PATH.host: PATH}


async def a_change_of_paths_that_raises_changes_nothing(catalog: Catalog) -> None:
    await catalog.update_paths(putting(PATH))

    def fail(known: Paths) -> Paths:
        raise ValueError

    await raises(ValueError, lambda: catalog.update_paths(fail))
    assert await catalog.paths() == {PATH.host: PATH}


async def concurrent_changes_of_paths_are_all_kept(catalog: Catalog) -> None:
    def put(number: int) -> Callable[[], Coroutine[object, object, Paths]]:
        return lambda: catalog.update_paths(putting(Path(f"h{number}", float(number))))

    await together(*(put(number) for number in range(20)))
    assert set(await catalog.paths()) == {f"h{number}" for number in range(20)}
