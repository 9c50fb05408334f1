"""A run of `torchrun`: `python two_processes.py CONFIG.json OUTPUT`, with the tests' tiny network in the registry."""

import json
import sys
from pathlib import Path

from tests.training.conftest import TinyNetwork
from training import networks, train
from training.config import TrainConfig

if __name__ == "__main__":
    networks.NETWORKS["tiny"] = TinyNetwork
    config = TrainConfig.model_validate(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    train.run(config, Path(sys.argv[2]), resume=False)
