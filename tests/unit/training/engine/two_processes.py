"""A run for `torchrun`: `python two_processes.py CONFIG.json OUTPUT`, with the tests' tiny network registered."""

import json
import sys
from pathlib import Path

from tests.unit.training.conftest import TinyNetwork
from training.config.schema import TrainConfig
from training.engine import trainer
from training.networks.registry import NETWORKS

if __name__ == "__main__":
    NETWORKS["tiny"] = TinyNetwork
    config = TrainConfig.model_validate(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    trainer.train(config, Path(sys.argv[2]), resume=False)
