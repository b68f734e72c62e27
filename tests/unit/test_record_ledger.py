"""What a scope's ledger knows of its Parallel calls."""

from greenkernel.runner.record_ledger import Ledger, TaskNote


def test_tasks_to_come_are_counted_at_their_own_calls_mean() -> None:
    """Eight tasks of 3 s and one of 100 s are left; calls that tell nothing yet count for nothing."""
    ledger = Ledger()
    trees, folds, unknown, fresh = (ledger.begin_call(total) for total in (10, 2, None, 7))
    for call, cpu_s in ((trees, 2.0), (trees, 4.0), (folds, 100.0), (unknown, 5.0)):
        ledger.add(TaskNote(call=call, cpu_s=cpu_s))
    assert 8 * 3 + 100 == ledger.progress().left_cpu_s
    assert ledger.progress().total is None
    ledger.know_total(unknown, 3)
    assert 8 * 3 + 100 + 2 * 5 == ledger.progress().left_cpu_s
    assert (4, 22) == (ledger.progress().done, ledger.progress().total)
    ledger.know_total(fresh, 0)
    assert 8 * 3 + 100 + 2 * 5 == ledger.progress().left_cpu_s
