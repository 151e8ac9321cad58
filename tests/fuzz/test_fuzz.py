"""Damaged inputs: whatever a file holds, a command ends in time with one line that names it, or with its result.

The short form; `make fuzz` is the long one. A finding is repeated by `python -m tests.fuzz --key K --target PATH
--number N`.
"""

from collections.abc import Iterator

import pytest

from tests.fuzz.campaign import Campaign
from tests.fuzz.cases import CASES
from tests.fuzz.targets import TARGETS

KEY = 0
NUMBERS = (1, 2, 3)
"""Of the mutations of each file; of those that a model or many figures are made from, only the first, of every other
file."""


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    campaign = Campaign(tmp_path_factory.mktemp("fuzz") / "root", key=KEY)
    yield campaign
    campaign.close()


def test_whole_files_are_read(campaign: Campaign) -> None:
    """Else a mutation shows nothing; reports and models are left to the others, which read them too."""
    commands = {command for target in TARGETS if not target.loads_model for command in target.commands}
    ended = {command: campaign.run(command) for command in sorted(commands) if not command.startswith("report")}
    assert {command: answer["err"] for command, answer in ended.items() if answer["code"] != 0} == {}


def test_mutated_files_end_in_a_line_or_a_result(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    findings = [
        finding
        for position, target in enumerate(TARGETS)
        for number in (NUMBERS[: 1 - position % 2] if target.loads_model or target.every > 1 else NUMBERS)
        for finding in campaign.try_mutation(target, number)
    ]
    with capsys.disabled():
        print(f"\n{campaign.summary()}")
    assert not findings, "\n".join(map(str, findings))


def test_files_written_in_another_way_give_the_same(campaign: Campaign) -> None:
    targets = [target for target in TARGETS if target.rewritable and not target.loads_model]
    findings = [finding for target in targets for finding in campaign.try_mutation(target, 0)]
    assert not findings, "\n".join(map(str, findings))


def test_what_was_found_stays_mended(campaign: Campaign) -> None:
    targets = {target.path: target for target in TARGETS}
    problems = {}
    for case in CASES:
        content = campaign.contents[case.path]
        assert case.before in content, case
        damaged = content.replace(case.before, case.after)
        if found := campaign.try_content(targets[case.path], damaged, case.command):
            problems[case] = found
    assert problems == {}
