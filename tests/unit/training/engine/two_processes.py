"""Runs for `torchrun`: `python two_processes.py FOLDER PORT ...`, with the tests' tiny network registered.

Each FOLDER/NAME.json is a config, whose output is FOLDER/NAME. Its two processes meet at a port of its own.
"""

import os
import sys
from pathlib import Path

from tests.unit.training.conftest import TinyNetwork
from training.config.schema import TrainConfig
from training.engine import trainer
from training.networks.registry import NETWORKS

if __name__ == "__main__":
    NETWORKS["tiny"] = TinyNetwork
    os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "False"  # the launcher's store is for one group of processes only
    for file, port in zip(sorted(Path(sys.argv[1]).glob("*.json")), sys.argv[2:], strict=True):
        os.environ["MASTER_PORT"] = port
        config = TrainConfig.model_validate_json(file.read_text(encoding="utf-8"))
        trainer.train(config, file.with_suffix(""), resume=False)
