"""Where pieces of a build go, and what becomes of them when a host is lost. No TensorFlow runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from harness import api
from harness.artifacts import parcel
from harness.artifacts.builder import Site
from harness.artifacts.cache import CURVE, NETWORK, TRAINING, TrainedCache
from harness.artifacts.child.protocol import (
    BuildRequest,
    Network,
    Step,
    Trained,
    TrainRequest,
)
from harness.artifacts.jobs import BuildJob
from harness.artifacts.material import Material
from harness.artifacts.network_plans import Training
from harness.artifacts.parcel import Packer
from harness.artifacts.representative import demo
from harness.cli import main
from harness.core.errors import UsageError
from harness.core.lab import BUILD, PROCESSOR, HostOffer
from harness.core.specs import TrainingSpec
from harness.core.types import Failure
from harness.data.demo_set import Drawn
from harness.engine import INTERRUPTED, AwayWork, Later, Place, Work, dask
from harness.engine.lab import offers
from harness.engine.lab.hosts import free_of
from harness.measure import lab_build
from harness.measure.away_build import Answer, Made
from harness.measure.lab_build import LabBuild, Piece
from harness.system import files
from tests import fixed_build
from tests.labs import lab
from tests.paths import ROOT
from tests.phones import wait_for
from tests.unit.artifacts.test_training import Stripes

WITH = {"tensorflow": "2", "keras": "3"}
LOST = Failure(stage="lab", transient=True, message="the host was lost")


@pytest.fixture(autouse=True)
def same_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parcel, "builds_with", lambda: WITH)


def host(name: str, builds: int = 1, with_: Mapping[str, str] = WITH) -> HostOffer:
    return HostOffer(
        name=name,
        address=f"at {name}",
        processors=1,
        harness="0",
        system="Linux",
        builds=builds,
        builds_with=dict(with_),
    )


class Project:
    """A model, a network to train and its two artifacts."""

    def __init__(self, root: Path) -> None:
        self.models, self.cache = root / "models", root / "cache"
        self.models.mkdir()
        self.model = self.models / "net.py"
        self.model.write_text("from part import x\ndef build(): ...\n")
        (self.models / "part.py").write_text("x = open('names.txt')\n")
        (self.models / "names.txt").write_text("a\nb\n")
        (self.models / "huge.h5").write_bytes(bytes(parcel.LARGEST_NEIGHBOUR_BYTES + 1))
        self.material = Material(Stripes(), self.cache)
        self.site = Site(self.cache, demo(count=2), self.material)

    def training(self, key: str = "1" * 64, features: str | None = None) -> Training:
        request = TrainRequest(
            network=Network(str(self.model)),
            settings=TrainingSpec(epochs=1),
            classes=2,
            train=self.material.files("train"),
            validation=self.material.files("validation"),
            seed=0,
            checkpoint=str(self.cache / "checkpoints" / key),
            features=features,
        )
        return Training(key, "train-net", request)

    def job(self, variant: str, key: str, training: Training) -> BuildJob:
        trained = self.cache / "trained" / training.key
        network = Network(str(self.model), trained=str(trained / NETWORK))
        request = BuildRequest(recipe="float32", network=network, trained=str(trained))
        return BuildJob(variant, variant, key, request, False, {}, (training,))

    def put_trained(self, key: str) -> None:
        """As if the network had been trained here."""
        with TrainedCache(self.cache).building(key) as folder:
            (folder / NETWORK).write_bytes(b"network")
            (folder / CURVE).write_text("phase\n")
            noted = Trained(files.sha256(folder / NETWORK), (), 1.0, 1.0, None, 2)
            (folder / TRAINING).write_bytes(msgspec.json.encode(noted))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


class Engine:
    """Hosts that do what the test says."""

    def __init__(self, *hosts: HostOffer, does: Callable[[list[Piece]], object] = list) -> None:
        self.hosts, self.does = hosts, does
        self.pieces: list[Piece] = []
        self.said: list[str] = []
        self.there: dict[str, bytes] = {}
        self.cached: dict[str, frozenset[str]] = {}

    def where(self) -> tuple[HostOffer, ...]:
        return self.hosts

    def submit(self, work: Work | AwayWork, lane: str) -> None:
        assert isinstance(work, Piece)
        self.pieces.append(work)

    def gather(self) -> None:
        self.does(self.pieces)

    def has(self, address: str, keys: Sequence[str]) -> frozenset[str]:
        return self.cached.get(address, frozenset())

    def fetch(self, address: str, sha256: str, write: Callable[[bytes], object]) -> None:
        if sha256 not in self.there:
            raise UsageError("this host has no file")
        write(self.there[sha256])

    def close(self) -> None:
        """There is nothing."""


def bring(
    engine: Engine, project: Project, *jobs: BuildJob, **options: bool
) -> Mapping[str, Failure]:
    said: list[str] = []
    lab = LabBuild(engine, said.append, or_here=options.get("or_here", False))
    found = lab.bring(jobs, project.site, lambda variant, step: None)
    engine.said = said
    return found


def placed(
    piece: Piece, *hosts: HostOffer, used: Mapping[str, float] | None = None
) -> Place | Later:
    return piece.place(hosts, {h.address: free_of(h, used or {}) for h in hosts})


def at(piece: Piece, name: str, *hosts: HostOffer) -> None:
    """Hand the piece out; it must go to the host `name`."""
    found = placed(piece, *hosts)
    assert isinstance(found, Place), found
    assert found.host.name == name
    assert found.uses[BUILD] == 1
    piece.job(found)


def test_a_network_is_trained_once_and_artifacts_wait_for_it(project: Project) -> None:
    training = project.training()
    jobs = [project.job("a", "a" * 64, training), project.job("b", "b" * 64, training)]
    one, two = host("bench1"), host("bench2")

    def does(pieces: list[Piece]) -> None:
        train, a, b = pieces
        assert (train.makes, a.makes, b.makes) == ((), ("a",), ("b",))
        waits = placed(a, one, two)
        assert isinstance(waits, Later) and waits.within_s == float("inf")
        at(train, "bench1", one, two)
        project.put_trained(train.key)
        assert train.ended(msgspec.json.encode(Answer())) == "done"
        at(a, "bench1", one)
        at(b, "bench2", two)
        for piece in (a, b):
            assert piece.ended(msgspec.json.encode(Answer())) == "done"

    engine = Engine(one, two, does=does)
    assert bring(engine, project, *jobs) == {}
    assert engine.said == [
        "bench1: 1 network trained, 1 artifact converted",
        "bench2: 1 artifact converted",
    ]


def test_a_lost_piece_is_tried_elsewhere_and_fails_in_the_end(project: Project) -> None:
    training = project.training()
    one, two = host("bench1"), host("bench2")

    def does(pieces: list[Piece]) -> None:
        train, a = pieces
        at(train, "bench1", one, two)
        assert train.lost(LOST) is None
        at(train, "bench2", one, two)
        assert train.lost(LOST) is None
        for _ in range(lab_build.TRIES - 3):
            at(train, "bench1", one, two)
            assert train.lost(LOST) is None
        at(train, "bench1", one, two)
        assert train.lost(LOST) == "done"
        found = placed(a, one, two)
        assert isinstance(found, Later) and found.within_s == 0
        a.give_up(found, stopped=False)

    failures = bring(Engine(one, two, does=does), project, project.job("a", "a" * 64, training))
    assert failures == {"a": LOST}


def test_a_failed_build_is_that_variants_failure_only(project: Project) -> None:
    project.put_trained("1" * 64)
    training = project.training()
    jobs = [project.job("a", "a" * 64, training), project.job("b", "b" * 64, training)]
    failed = Failure(stage="build", transient=False, message="no such layer", fix="see the log")

    def does(pieces: list[Piece]) -> None:
        a, b = pieces
        at(a, "bench1", host("bench1"))
        at(b, "bench1", host("bench1"))
        assert a.ended(msgspec.json.encode(Answer(failed=failed))) == "done"
        assert b.ended(msgspec.json.encode(Answer())) == "done"

    failures = bring(Engine(host("bench1"), does=does), project, *jobs)
    assert list(failures) == ["a"]
    assert failures["a"].message == "no such layer"
    assert failures["a"].fix == "see the log (at bench1)"


def test_what_the_user_must_correct_ends_everything(project: Project) -> None:
    failed = Failure(stage="build", transient=False, message="no option x", fix="choose another")

    def does(pieces: list[Piece]) -> None:
        at(pieces[0], "bench1", host("bench1"))
        answer = Answer(failed=failed, usage=True)
        assert pieces[0].ended(msgspec.json.encode(answer)) == "refused"
        pieces[1].give_up(INTERRUPTED, stopped=True)

    engine = Engine(host("bench1"), does=does)
    with pytest.raises(UsageError, match="bench1: no option x; choose another"):
        bring(engine, project, project.job("a", "a" * 64, project.training()))


def test_ctrl_c_stays_ctrl_c(project: Project) -> None:
    def does(pieces: list[Piece]) -> None:
        for piece in pieces:
            piece.give_up(INTERRUPTED, stopped=True)

    with pytest.raises(KeyboardInterrupt):
        bring(
            Engine(host("bench1"), does=does),
            project,
            project.job("a", "a" * 64, project.training()),
        )


def test_where_nobody_can_build_that_is_told_with_the_reason(project: Project) -> None:
    engine = Engine(host("bench1", 0, {}), host("bench2", 1, {**WITH, "keras": "2"}))
    job = project.job("a", "a" * 64, project.training())
    said = (
        "no host of the lab can build: bench1 has no TensorFlow; bench2 has keras 2, and here is 3"
    )
    with pytest.raises(UsageError, match=said):
        bring(engine, project, job)
    assert bring(engine, project, job, or_here=True) == {}  # left to this machine
    assert "so this machine does" in engine.said[0]


def test_a_host_that_has_it_and_one_that_has_its_features_go_first(project: Project) -> None:
    features = str(project.cache / "features/f.npz")
    first, second = project.training("1" * 64, features), project.training("2" * 64, features)
    jobs = [project.job("a", "a" * 64, first), project.job("b", "b" * 64, second)]
    one, two = host("bench1"), host("bench2")

    def does(pieces: list[Piece]) -> None:
        train, other, *conversions = pieces
        at(train, "bench2", one, two)
        waits = placed(other, one, two)
        assert isinstance(waits, Later) and "same features" in waits.why
        project.put_trained(train.key)
        train.ended(msgspec.json.encode(Answer()))
        at(other, "bench2", one, two)
        for piece in conversions:
            piece.give_up(Later("enough", "", 0), stopped=False)

    engine = Engine(one, two, does=does)
    engine.cached["at bench2"] = frozenset({"1" * 64})
    assert list(bring(engine, project, *jobs)) == ["a", "b"]


def test_a_busy_host_that_has_it_is_waited_for_but_not_for_ever(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = host("bench1"), host("bench2")
    free = {one.address: {BUILD: 1.0, PROCESSOR: 1.0}, two.address: {BUILD: 0.0, PROCESSOR: 0.0}}

    def does(pieces: list[Piece]) -> None:
        train, a = pieces
        waits = train.place((one, two), free)
        assert isinstance(waits, Later) and "busy" in waits.why
        monkeypatch.setattr(lab_build, "HAS_IT_S", 0.0)
        found = train.place((one, two), free)
        assert isinstance(found, Place) and found.host.name == "bench1"
        a.give_up(Later("enough", "", 0), stopped=False)

    engine = Engine(one, two, does=does)
    engine.cached["at bench2"] = frozenset({"1" * 64})
    bring(engine, project, project.job("a", "a" * 64, project.training()))


def test_what_was_made_comes_into_the_cache_whole_or_not_at_all(project: Project) -> None:
    training = project.training()
    elsewhere = Project.__new__(Project)
    elsewhere.cache = project.cache.parent / "elsewhere"
    elsewhere.put_trained(training.key)
    folder = elsewhere.cache / "trained" / training.key
    there = {files.sha256(path): path.read_bytes() for path in folder.iterdir()}
    names = {path.name: files.sha256(path) for path in folder.iterdir()}
    made = Made(kind="trained", key=training.key, files=names)

    def does(pieces: list[Piece]) -> None:
        train, a = pieces
        at(train, "bench1", host("bench1"))
        assert train.ended(msgspec.json.encode(Answer(made=(made,)))) is None  # it has no file
        assert not (project.cache / "trained" / train.key).exists()
        engine.there = there
        at(train, "bench1", host("bench1"))
        assert train.ended(msgspec.json.encode(Answer(made=(made,)))) == "done"
        assert TrainedCache(project.cache).has(train.key)
        bad = msgspec.structs.replace(made, files={"../x": "0" * 64})
        at(a, "bench1", host("bench1"))
        assert a.ended(msgspec.json.encode(Answer(made=(bad,)))) == "refused"

    engine = Engine(host("bench1"), does=does)
    with pytest.raises(UsageError, match="something that is not an artifact"):
        bring(engine, project, project.job("a", "a" * 64, training))


HOST = """
import asyncio, sys
from pathlib import Path
from harness.engine.lab import offers, worker
from harness.engine.lab.address import parse
from harness.engine.lab.dask_settings import applied

async def be() -> None:
    builds = offers.Builds(1, {"tensorflow": "2", "keras": "3"})
    made = worker.make(parse(sys.argv[1], None), "bench1", lambda known, busy: known, cores=1,
                       builds=builds, cache=Path(sys.argv[2]))
    await worker.started(made)
    await made.finished()

with applied():
    asyncio.run(be())
"""


@pytest.mark.slow  # Dask starts in another process
@pytest.mark.parametrize("other", [True, False], ids=["another host", "no other host"])
def test_a_host_that_is_killed_while_it_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: bool
) -> None:
    """A training that takes an hour, in real processes."""
    monkeypatch.setattr(lab_build, "AWAY_S", 2.0)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    journal = tmp_path / "journal"
    with lab() as made, ThreadPoolExecutor(1) as beside:
        words = [sys.executable, "-c", HOST, str(made.address), str(tmp_path / "bench1")]
        victim = subprocess.Popen(words, cwd=ROOT)
        engine = dask.connect(made.address)
        try:
            wait_for(engine.where, 120)
            building = beside.submit(
                fixed_build.build, engine, 1, 3600.0, tmp_path / "client", journal
            )
            wait_for(journal.exists, 120)
            if other:
                builds = offers.Builds(1, WITH)
                made.join("bench2", cores=1, builds=builds, cache=tmp_path / "bench2")
            victim.kill()
            if other:
                assert building.result(120) == ["bench2: 1 artifact converted"]
            else:
                with pytest.raises(RuntimeError, match="no host of the lab can build any more"):
                    building.result(120)
        finally:
            victim.kill()
            victim.wait()
            engine.close()
    # What it had begun notices that its worker is gone, and ends.
    wait_for(lambda: "stopped" in journal.read_text(), 120)
    told = sorted(journal.read_text().split())
    assert told == (["began", "began", "done", "stopped"] if other else ["began", "stopped"])


@pytest.mark.parametrize("way", ["command", "python"])
def test_build_asks_the_lab_that_is_named(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOBILE_BENCH_CACHE", str(tmp_path))
    said = "no host of the lab can build: bench1 has no TensorFlow"
    with lab() as made:
        made.join("bench1", cache=tmp_path / "there")
        address = str(made.address)
        if way == "python":
            with pytest.raises(UsageError, match=said):
                api.build("scratch", untrained=True, weights="random", lab=address)
            return
        words = ["build", "scratch", "--untrained", "--weights", "random", "--lab", address]
        assert main(words) == 2
    assert said in capsys.readouterr().err


# --- parcels ---------------------------------------------------------------------------------


def test_a_training_finds_its_files_at_another_machine(project: Project, tmp_path: Path) -> None:
    project.material.save()
    packed = Packer(project.cache, project.site.representative).training(project.training(), "a")
    assert str(tmp_path) not in msgspec.json.encode(packed.parcel).decode()
    assert {name for name in packed.parcel.files if name.startswith("models/")} == {
        "models/net.py",
        "models/part.py",
        "models/names.txt",
    }
    folder, cache = tmp_path / "work", tmp_path / "theirs"
    request = parcel.unpacked(packed.parcel, folder, cache, packed.files.__getitem__)
    assert isinstance(request, TrainRequest)
    assert request.network.model_file == str(folder / "models/net.py")
    assert request.checkpoint == str(cache / "checkpoints" / ("1" * 64))
    for images in (request.train, request.validation):
        for path in (images.images, images.labels):
            assert Path(path).is_relative_to(cache) and files.intact(Path(path))
    again = parcel.unpacked(packed.parcel, folder, cache, packed.files.__getitem__)
    assert again == request  # what is there already stays


def test_demo_images_are_not_sent(project: Project) -> None:
    drawn = Drawn(seed=0, sizes={"train": 2, "validation": 2, "test": 2})
    packed = Packer(project.cache, project.site.representative, drawn).training(
        project.training(), "a"
    )
    assert not [name for name in packed.parcel.files if not name.startswith("models/")]
    assert packed.parcel.drawn == drawn


def test_an_artifact_brings_its_network_and_what_calibrates(
    project: Project, tmp_path: Path
) -> None:
    project.put_trained("1" * 64)
    weights = tmp_path / "start.h5"
    weights.write_bytes(b"weights")
    job = project.job("a", "a" * 64, project.training())
    assert job.request.network is not None
    network = msgspec.structs.replace(
        job.request.network, parent=Network(str(project.model), weights=str(weights))
    )
    request = msgspec.structs.replace(job.request, network=network)
    job = BuildJob("a", "a", "a" * 64, request, True, {"model": "net"}, (project.training(),))
    packed = Packer(project.cache, project.site.representative).artifact(job, ())
    folder = tmp_path / "work"
    made = parcel.unpacked(packed.parcel, folder, tmp_path / "theirs", packed.files.__getitem__)
    assert isinstance(made, BuildRequest) and made.network and made.network.parent
    assert Path(made.network.trained or "").read_bytes() == b"network"
    assert (Path(made.trained or "") / TRAINING).is_file()
    assert Path(made.network.parent.weights or "").name == "start.h5"
    assert parcel.representative(packed.parcel, folder).images().shape[0] == 2


@pytest.mark.parametrize("name", ["../x", "/etc/x", "models/../../x"])
def test_no_path_leads_out_of_its_folder(project: Project, tmp_path: Path, name: str) -> None:
    packed = Packer(project.cache, project.site.representative, Drawn(0, {})).training(
        project.training(), "a"
    )
    hostile = msgspec.structs.replace(packed.parcel, files={name: "0" * 64})
    with pytest.raises(UsageError, match="is not a path inside"):
        parcel.unpacked(hostile, tmp_path / "w", tmp_path / "c", lambda digest: tmp_path)


def test_steps_say_where_and_nothing_is_built_before_it_is_here(project: Project) -> None:
    told: list[str] = []
    piece = Piece(
        lab_build._Shared(None, "", None, None, lambda v, s: told.append(s.stage), {}, set(), {}),  # type: ignore[arg-type]
        project.training(),
        lambda: None,  # type: ignore[arg-type,return-value]
        (),
        ["a"],
    )
    piece.host = "bench1"
    for stage in ("converting", "built", "cached"):
        assert piece.hear(msgspec.json.encode(Step(stage)))
    assert told == ["converting at bench1"]
