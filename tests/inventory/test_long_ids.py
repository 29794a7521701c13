"""An id that no page can use, and that is too long for an index of PostgreSQL."""

import random
from collections.abc import Callable

from dashboard.inventory.models import GroupCopy, ProjectCopy
from tests.conftest import DESIGN_POOL, Simulated


def test_a_group_with_a_very_long_id_is_stored_with_all_others(
    db: None, simulator: Simulated, refresh: Callable[..., ProjectCopy]
) -> None:
    chosen = random.Random(1)  # noqa: S311 (text that cannot be compressed, no secret)
    simulator.change(DESIGN_POOL, id="".join(chr(chosen.randrange(0x4E00, 0x9FA5)) for _ in range(4000)))

    copy = refresh(3)

    longest = max(GroupCopy.objects.values_list("group_id", flat=True), key=len)
    assert (copy.groups, GroupCopy.objects.count(), len(longest), longest[-1]) == (42, 42, 500, "…")
