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
LIGHT, WITH_MODEL = range(1, 5), range(1, 2)
"""Numbers of the mutations of each file, by whether its commands load a model."""


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    campaign = Campaign(tmp_path_factory.mktemp("fuzz") / "root", key=KEY)
    yield campaign
    campaign.close()


def test_mutated_files_end_in_a_line_or_a_result(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    findings = [
        finding
        for target in TARGETS
        for number in (WITH_MODEL if target.loads_model else LIGHT)
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
    findings = []
    for key, path, number in CASES:
        campaign.key = key
        findings += campaign.try_mutation(targets[path], number)
    assert not findings, "\n".join(map(str, findings))
