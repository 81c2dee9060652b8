# %% [markdown]
# # 1. Tensors

# %%
import sys
from pathlib import Path

sys.path.append(str(Path(globals().get("__file__", "notebook")).resolve().parents[1]))  # where arguments.py is

import minitorch
from arguments import arguments

# %%
settings = arguments(seed=0)
minitorch.manual_seed(settings.seed)
