"""Faults and broken input: runs tests of the suite, including those marked slow, and counts them."""

import os
import re
import subprocess
import sys
from functools import partial

from benchmarks.robustness.row import Row
from tests.fuzz.inputs import PATHS

FUZZED, SEED = int(os.environ.get("QCLUSTER_FUZZ", "10000")), 31

JOBS, FAULTS = "tests/device/test_jobs.py", "tests/device/test_job_faults.py"
CAMPAIGN, CAMPAIGN_FAULTS = "tests/bench/test_campaign.py", "tests/bench/test_campaign_faults.py"
CLOUD, FOLDERS, HOSTILE = "tests/device/test_cloud.py", "tests/test_folders.py", "tests/test_robustness.py"

KILLS = (
    f"{JOBS}::test_killed_at_any_step_nothing_is_lost_or_sent_twice",
    f"{JOBS}::test_ten_thousand_circuits_survive_kills_at_random_moments",
    f"{JOBS}::test_a_killed_simulation_runs_again_to_the_same_counts",
    f"{FAULTS}::test_another_process_is_kept_out_until_it_dies",
    f"{CAMPAIGN}::test_kill_nine_and_resume_give_the_same_table",
    f"{CAMPAIGN}::test_a_dead_worker_process_is_a_clear_error",
    f"{CAMPAIGN_FAULTS}::test_killed_at_every_write_nothing_is_lost_or_done_twice",
    f"{FOLDERS}::test_what_a_killed_process_was_writing_is_swept_at_the_next_opening",
    "tests/test_cli_jobs.py::test_a_killed_command_is_resumed",
    "tests/test_workers.py",
)
FULL = (
    f"{FAULTS}::test_a_disk_full_at_any_write_loses_nothing",
    f"{FAULTS}::test_a_log_line_cut_short_by_a_full_disk_is_mended",
    f"{FAULTS}::test_a_read_only_directory_is_looked_at_and_refused_in_words",
    f"{CAMPAIGN}::test_a_full_disk_loses_nothing",
    f"{CAMPAIGN}::test_a_read_only_disk_is_a_clear_error",
    f"{CAMPAIGN}::test_a_folder_that_cannot_be_written_is_a_clear_error",
    f"{CAMPAIGN_FAULTS}::test_a_write_that_fails_takes_back_what_it_began",
    f"{CAMPAIGN_FAULTS}::test_shots_that_cannot_be_written_leave_nothing_behind",
    f"{HOSTILE}::test_a_full_disk_behind_the_output_is_a_line_of_words",
    f"{HOSTILE}::test_a_result_is_written_whole_or_not_at_all",
)
TAMPERED = (
    f"{JOBS}::test_a_torn_log_line_is_left_out_and_said",
    f"{JOBS}::test_results_never_change_and_are_not_read_without_their_run",
    f"{FAULTS}::test_damage_is_named",
    f"{FAULTS}::test_a_wrong_request_is_refused_in_words",
    f"{FAULTS}::test_a_request_with_a_key_twice_is_refused",
    f"{FAULTS}::test_an_edited_request_is_not_what_was_submitted",
    f"{FAULTS}::test_inverted_bits_in_a_stored_result_are_seen",
    f"{FAULTS}::test_a_result_whose_hash_was_not_logged_is_brought_in",
    f"{FAULTS}::test_a_lost_log_is_made_up_for_by_results",
    f"{CAMPAIGN}::test_a_torn_table_is_mended_by_running_again",
    f"{CAMPAIGN}::test_damaged_shots_are_a_clear_error",
    f"{CAMPAIGN}::test_shots_that_do_not_tell_their_circuit_are_not_judged",
    f"{CAMPAIGN_FAULTS}::test_damaged_tables_are_named",
    f"{CLOUD}::test_a_result_that_is_not_what_was_asked_for_is_refused_and_kept",
    FOLDERS,
)


def tested(*nodes: str, **environment: str) -> str:
    """Run tests and return their number; a missing, failing or aborted test raises an AssertionError with the end of
    the output."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "slow or not slow", "-p", "no:xdist", "-W", "error", *nodes],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    output = done.stdout.strip().splitlines() or [done.stderr.strip()[-300:]]
    failed = [line for line in output if line.startswith(("FAILED", "ERROR"))]
    if done.returncode:
        raise AssertionError("; ".join([*failed[:3], output[-1]]))
    (counted,) = re.findall(r"(\d+ passed.*?) in ", output[-1])
    return f"{counted} tests"


def fuzzed(path: str) -> str:
    """Fuzz one entry point."""
    node = f"tests/fuzz/test_fuzz.py::test_bad_input_by_the_thousand[{path}]"
    tested(node, QCLUSTER_FUZZ=str(FUZZED), QCLUSTER_FUZZ_SEED=str(SEED))
    return f"{FUZZED:,} inputs: answered or refused in words"


ROWS = (
    Row("kill -9 before, in and after every write", "nothing lost, nothing done twice", partial(tested, *KILLS)),
    Row("disk full at any write, or read-only", "a clear error, nothing lost, nothing half", partial(tested, *FULL)),
    Row("files damaged, edited, exchanged, linked", "named and refused", partial(tested, *TAMPERED)),
    *(Row(f"fuzz: {path}", "refused in words, within 10 s and 1 GiB each", partial(fuzzed, path)) for path in PATHS),
)
