"""The registered data sets: what they are, where they come from, under which licence.

Checksums are those of the copies that the tests are run on, or those that the host itself publishes; None where neither
is known (`core.datasets` says what happens then).
"""

import msgspec


class DataFile(msgspec.Struct, frozen=True):
    """One file of a data set.

    `sha256` is that of the file; where `address` names a .zip or .gz that holds it, `archive_sha256` is that of the
    archive. Without an address the user has to put the file in place.
    """

    name: str
    address: str | None = None
    sha256: str | None = None
    archive_sha256: str | None = None


class Dataset(msgspec.Struct, frozen=True):
    """A registered data set; `train`, `validation`, `test` and `types` name files of it, None where it has none."""

    name: str
    what: str
    files: tuple[DataFile, ...]
    licence: str
    train: str
    test: str | None = None
    validation: str | None = None
    types: str | None = None
    notes: str = ""


_JEREX = "http://lavis.cs.hs-rm.de/storage/jerex/public/datasets"
_DOCRED = "https://huggingface.co/datasets/thunlp/docred/resolve/main/data"
_REDOCRED = "https://raw.githubusercontent.com/tonytan48/Re-DocRED/main/data"
_CDR = "https://huggingface.co/datasets/bigbio/bc5cdr/resolve/main/CDR_Data.zip"
_CDR_SHA256 = "0a359a7f038d283a7b05b084fa73de014e7410e1f5d7034bf3fd01f016fc2444"

REGISTRY: dict[str, Dataset] = {
    entry.name: entry
    for entry in (
        Dataset(
            name="docred-joint",
            what="DocRED in JEREX's end-to-end split: 3,008 training, 300 validation, 700 test documents",
            files=(
                DataFile("train_joint.json", f"{_JEREX}/docred_joint/train_joint.json"),
                DataFile(
                    "dev_joint.json",
                    f"{_JEREX}/docred_joint/dev_joint.json",
                    "7dc0666a2a7b3b11358b983588508a23294f0d1e5fba76ab4ce7112180acdafd",
                ),
                DataFile(
                    "test_joint.json",
                    f"{_JEREX}/docred_joint/test_joint.json",
                    "f7872af697e8a887efcf2f3381bb815e791e9488186dd17167894808c89385ed",
                ),
                DataFile(
                    "types.json",
                    f"{_JEREX}/docred_joint/types.json",
                    "25fdad38ef574a60e632c483b15812a80754a39964c01c3891939fc6ac8c8ac3",
                ),
            ),
            licence="MIT (DocRED and JEREX)",
            train="train_joint.json",
            validation="dev_joint.json",
            test="test_joint.json",
            types="types.json",
            notes="The host is JEREX's own and not always up. `engram data build-split` makes train_joint.json from "
            "DocRED's own train_annotated.json and dev.json.",
        ),
        Dataset(
            name="docred",
            what="DocRED: 3,053 training and 998 validation documents; its test part has no public labels",
            files=(
                DataFile("train_annotated.json", f"{_DOCRED}/train_annotated.json.gz"),
                DataFile("dev.json", f"{_DOCRED}/dev.json.gz"),
                DataFile("types.json", f"{_JEREX}/docred/types.json"),
            ),
            licence="MIT",
            train="train_annotated.json",
            validation="dev.json",
            types="types.json",
            notes="Holds documents of docred-joint's test part: never train on the one and test on the other.",
        ),
        Dataset(
            name="redocred",
            what="Re-DocRED: DocRED with revised labels, 3,053 training, 500 validation, 500 test documents",
            files=(
                DataFile("train_revised.json", f"{_REDOCRED}/train_revised.json"),
                DataFile(
                    "dev_revised.json",
                    f"{_REDOCRED}/dev_revised.json",
                    "051ee1d057204a5d08ef5502beacdadf191245b5eaf0e29ec2c607cf002c016f",
                ),
                DataFile("test_revised.json", f"{_REDOCRED}/test_revised.json"),
            ),
            licence="MIT",
            train="train_revised.json",
            validation="dev_revised.json",
            test="test_revised.json",
            notes="About 2.8 times as many relations as DocRED: never mix the two labellings. Types are inferred from "
            "training unless a types file is given.",
        ),
        Dataset(
            name="cdr",
            what="BioCreative V CDR: chemicals, diseases and CID relations in 500 + 500 + 500 PubMed abstracts",
            files=(
                DataFile(
                    "CDR_TrainingSet.PubTator.txt",
                    _CDR,
                    "7afcec134e3d4871e74b0398d92850d3c9ac94c0bdc780003f2d60184c012bd8",
                    _CDR_SHA256,
                ),
                DataFile(
                    "CDR_DevelopmentSet.PubTator.txt",
                    _CDR,
                    "9e18d8e700168887a7919e62f67ac2ce2357e3f409a48ee992906abdd80fe3e5",
                    _CDR_SHA256,
                ),
                DataFile("CDR_TestSet.PubTator.txt", _CDR, None, _CDR_SHA256),
            ),
            licence="public domain (a United States Government work)",
            train="CDR_TrainingSet.PubTator.txt",
            validation="CDR_DevelopmentSet.PubTator.txt",
            test="CDR_TestSet.PubTator.txt",
            notes="biocreative.org is offline; the address is the copy of the BigBio project, with its checksum.",
        ),
    )
}
