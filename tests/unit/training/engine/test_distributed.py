import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from tests.support.server import free_port
from tests.unit.training.conftest import TinyNetwork, config_of, write_people, write_weights
from tests.unit.training.support import changed, weights
from training.config.schema import TrainConfig
from training.engine import checkpoints, trainer
from training.engine.distributed import Processes, UnusableDevice, init_distributed
from training.networks.registry import NETWORKS

LR = 0.01
REPOSITORY = Path(__file__).resolve().parents[4]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def run_by_two(configs: Mapping[str, TrainConfig], folder: Path) -> None:
    """Train each config in two processes, which `torchrun` starts; the output is `folder`/NAME."""
    for name, config in configs.items():
        (folder / f"{name}.json").write_text(config.model_dump_json(), encoding="utf-8")
    ports = [str(free_port()) for _ in configs]
    command = [*TORCHRUN, "-m", "tests.unit.training.engine.two_processes", str(folder), *ports]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@dataclass(frozen=True, slots=True)
class Trained:
    """The outputs of one config, by one process and by two."""

    config: TrainConfig
    alone: Path
    together: Path


def configs(folder: Path) -> dict[str, TrainConfig]:
    """Return configs whose batches two processes can share."""
    config = changed(config_of(write_people(folder / "people"), write_weights(folder / "tiny.pt")), "batch", people=4)
    joint = changed(changed(config, "pretraining", steps=2), "batch", chunk_size=2)
    divided = changed(changed(config, "loss", kind="softmax", miner="none"), "data", minimum_faces=1)
    divided = changed(divided, "softmax", loss="adaface", divided=True, scale=16)
    steady = changed(config, "optimizer", name="adam", lr=LR, schedule="constant", warmup_steps=0)
    return {
        "joint": changed(changed(joint, "evaluation", every=3, held_out=0.34), "optimizer", ema_decay=0.9),
        "divided": changed(divided, "optimizer", clip_norm=0.1),
        "adam": steady,
        "steady adam": changed(steady, "optimizer", epsilon=0.1),
    }


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Trained]]:
    """Each config trained by one process, and by two that `torchrun` starts."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(NETWORKS, "tiny", TinyNetwork)
        all_configs = configs(folder)
        run_by_two(all_configs, folder)
        yield {
            name: Trained(config, trainer.train(config, folder / f"{name} alone", resume=False).parent, folder / name)
            for name, config in all_configs.items()
        }


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_processes_end_with_the_weights_of_one_on_the_joint_batch(trained: dict[str, Trained]) -> None:
    run = trained["joint"]
    alone = weights(run.alone / "network.pt")
    for name, value in weights(run.together / "network.pt").items():
        torch.testing.assert_close(value, alone[name], atol=1e-6, rtol=1e-5)
    facts = json.loads((run.together / "run.json").read_text())
    assert [one["step"] for one in facts["evaluation"]["all"]] == [3, 6]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_centers_that_two_processes_divide_end_as_those_of_one(trained: dict[str, Trained]) -> None:
    run = trained["divided"]
    one, two = (checkpoints.load(folder)["learner"] for folder in (run.alone, run.together))
    for part in ("network", "softmax"):
        torch.testing.assert_close(two[part], one[part], atol=1e-6, rtol=1e-5)
    last = max(one["optimizer"]["state"])
    momentum = one["optimizer"]["state"][last]["momentum_buffer"]
    assert momentum.shape == one["softmax"]["softmax.centers"].shape
    torch.testing.assert_close(two["optimizer"]["state"][last]["momentum_buffer"], momentum, atol=1e-6, rtol=1e-5)

    longer = changed(run.config, "optimizer", steps=8)
    expected = weights(trainer.train(longer, run.alone, resume=True))
    got = weights(trainer.train(longer, run.together, resume=True))  # one process goes on with what two have saved
    for name, value in expected.items():
        torch.testing.assert_close(got[name], value, atol=1e-6, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_with_adam_two_processes_differ_from_one_only_by_rounding_that_adam_magnifies(
    trained: dict[str, Trained],
) -> None:
    def difference(run: Trained) -> float:
        alone, together = (weights(folder / "network.pt") for folder in (run.alone, run.together))
        return max(float((value - alone[key]).abs().max()) for key, value in together.items())

    usual, steady = difference(trained["adam"]), difference(trained["steady adam"])
    assert steady < 1e-6
    assert steady < usual <= 2 * LR * trained["adam"].config.optimizer.steps


def torchrun(folder: Path, config: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m training train` in two processes."""
    (folder / "config.toml").write_text(config, encoding="utf-8")
    command = [*TORCHRUN, "-m", "training", "train", str(folder / "config.toml"), "--output", str(folder / "run")]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


TWO_STEPS = """
[data]
roots = ["{people}"]
[network]
name = "small_resnet"
embedding_size = 16
batch_norm = "updated"
[batch]
people = 3
faces = {faces}
[loss]
miner = "batch-hard"
distillation_weight = 0
[optimizer]
steps = 2
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_processes_print_once_and_end_without_a_trace(people: Path, tmp_path: Path) -> None:
    done = torchrun(tmp_path, TWO_STEPS.format(people=people, faces=2))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("weights in") == 1
    assert done.stderr.count("18 faces of 6 people") == 1
    for trace in ("Traceback", "Warning", "terminate called", "[W"):
        assert trace not in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_error_that_all_processes_have_is_printed_once(people: Path, tmp_path: Path) -> None:
    done = torchrun(tmp_path, TWO_STEPS.format(people=people, faces=1))
    assert done.returncode
    assert done.stderr.count("error: ") == 1


LISTING = """
import json, sys
from pathlib import Path
read = set()
sys.addaudithook(lambda event, args: read.add(str(args[0])) if event in ("open", "os.scandir", "os.listdir") else None)
from training.config.loading import load
from training.engine.distributed import init_distributed
from training.engine.trainer import Trainer
output = Path(sys.argv[1])
config = load(output / "config.toml", ())
with init_distributed(config.run) as processes:
    faces = Trainer(config, output, processes).faces
    seen = sorted(path for path in read if path.startswith(str(config.data.roots[0])) or path.endswith(".index"))
    (output / f"{processes.rank}.json").write_text(json.dumps([list(map(str, faces.paths)), seen]))
    processes.barrier()
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_only_the_main_process_lists_and_reads_the_images(people: Path, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(LISTING, encoding="utf-8")
    (tmp_path / "config.toml").write_text(TWO_STEPS.format(people=people, faces=2), encoding="utf-8")
    (tmp_path / "faces.index").touch()
    command = [*TORCHRUN, str(tmp_path / "program.py"), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (faces, read), (others_faces, others_read) = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in "01")
    assert {str(people), str(people / "person5" / "2.png"), str(tmp_path / "faces.index")} <= set(read)
    assert others_read == []
    assert len(faces) == 18
    assert others_faces == faces


def test_a_batch_that_cannot_be_shared_evenly_is_refused() -> None:
    assert Processes(rank=1, size=2).shard(6) == slice(3, 6)
    with pytest.raises(UnusableDevice, match="4 processes can share evenly, got 6 faces"):
        Processes(rank=1, size=4).shard(6)


def test_a_process_takes_its_share_of_a_gpu(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[tuple[float, int]] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)
    monkeypatch.setattr(
        torch.cuda, "set_per_process_memory_fraction", lambda share, device: taken.append((share, device.index))
    )
    for share in (0.25, 1.0):
        with init_distributed(changed(config, "run", gpu_memory_fraction=share).run) as processes:
            assert processes.device.type == "cuda"
    assert taken == [(0.25, 0)]


def test_half_precision_with_16_bits_needs_cuda(config: TrainConfig) -> None:
    with (
        pytest.raises(UnusableDevice, match=r"run\.precision: float16 needs CUDA, got the CPU: set it to 'bfloat16'"),
        init_distributed(changed(config, "run", precision="float16", device="cpu").run),
    ):
        pass


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA here")
def test_missing_cuda_is_an_error_instead_of_the_cpu(config: TrainConfig) -> None:
    with (
        pytest.raises(UnusableDevice, match=r"run\.device: expected CUDA device 0, got 0 such devices"),
        init_distributed(changed(config, "run", device="cuda").run),
    ):
        pass
