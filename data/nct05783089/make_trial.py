"""Simulates the trial of data/trials/nct05783089.toml once and writes the files beside this script.

python data/nct05783089/make_trial.py
"""

from pathlib import Path

import carkinetics as ck

SEED = 5783089

if __name__ == "__main__":
    trial = ck.simulate_trial(ck.load_trial("nct05783089"), seed=SEED)
    print(trial.decisions[["day", "action", "dose", "n", "dlt", "reason"]].to_string(index=False))
    trial.save(Path(__file__).resolve().parent)
