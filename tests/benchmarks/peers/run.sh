#!/usr/bin/env bash
# Every peer, one after the other (about 30 minutes on 2 cores), then RESULTS.md.
#   tests/benchmarks/peers/run.sh                all
#   tests/benchmarks/peers/run.sh stan_p1 jax    some of: pymc stan_p1 stan_p2 jax
# Environments and caches are kept in tests/benchmarks/.venv, which git ignores.
set -euo pipefail
cd "$(dirname "$0")/.."
export XDG_CACHE_HOME="$PWD/.venv/cache" OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore

python312() { # pystan's models cannot be imported on 3.13; uv does not always see pyenv's interpreters
  if command -v pyenv >/dev/null && version=$(pyenv versions --bare | grep '^3\.12\.' | tail -n 1) && [ -n "$version" ]; then
    echo "$(pyenv prefix "$version")/bin/python"
  else
    echo 3.12
  fi
}

environment() { # name, packages…: made once
  local folder=".venv/$1"
  shift
  [ -x "$folder/bin/python" ] && return
  uv venv --quiet --python "$(python312)" "$folder"
  uv pip install --quiet --python "$folder/bin/python" numpy scipy pandas arviz-stats "$@"
}

peer() { # environment, module and its arguments; a peer that fails does not stop the others
  local python=".venv/$1/bin/python"
  [ "$1" = project ] && python="uv run python"
  shift
  echo "== $* ($(date +%T))"
  $python -m "$@" || echo "!! $* failed"
}

pymc() {
  peer project peers.pymc_closed_form --sampler nutpie --mask 111100
  peer project peers.pymc_closed_form --sampler nutpie --mask 000000
  peer project peers.pymc_closed_form --sampler pymc --mask 111100
  peer project peers.pm_ode
}

stan_p1() {
  environment stan pystan
  peer stan peers.stan p1 --mask 000000
  peer stan peers.stan p1 --mask 111100
}

stan_p2() {
  environment stan pystan
  peer stan peers.stan p2-gradient
  peer stan peers.stan p2 --limit 420
}

jax() {
  environment jax jax diffrax numpyro
  peer jax peers.diffrax_p2
  peer jax peers.numpyro_nuts p1 --mask 111100
  peer jax peers.numpyro_nuts p1 --mask 000000
  # A second sampler seed, because one trapped chain spoils a whole run.
  peer jax peers.numpyro_nuts p1 --mask 111100 --sampler-seed 12
  peer jax peers.numpyro_nuts p1 --mask 000000 --sampler-seed 12
  peer jax peers.numpyro_nuts p2 --limit 300
}

for part in "${@:-all}"; do
  if [ "$part" = all ]; then
    pymc && stan_p1 && jax && stan_p2
  else
    "$part"
  fi
done
rm -rf build # pystan's compiler leaves it
uv run python table.py
