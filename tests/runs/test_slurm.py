"""Jobs of Slurm: what would be submitted, and which GPU each process of a job sees."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from napari_nic.errors import InvalidParameterError, MissingDependencyError, NicError
from napari_nic.runs import slurm
from napari_nic.runs.cluster import ClusterPlan, cluster_pool
from napari_nic.runs.remote import own_gpu
from napari_nic.runs.slurm import SlurmPlan, job_script

SCRIPT = """\
#!/usr/bin/env bash

#SBATCH -J napari-nic
#SBATCH -e {logs}/napari-nic-%J.err
#SBATCH -o {logs}/napari-nic-%J.out
#SBATCH -p gpu
#SBATCH -A lab
#SBATCH -n 1
#SBATCH --cpus-per-task=8
#SBATCH --mem=60G
#SBATCH -t 1-00:00:00
#SBATCH --gres=gpu:2
export DASK_DISTRIBUTED__WORKER__DAEMON='False'
export DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE='False'
export DASK_DISTRIBUTED__DIAGNOSTICS__COMPUTATIONS__NFRAMES='0'
export DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED='False'
export DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT='60 s'
export DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP='5 minutes'
export NAPARI_NIC_ONE_GPU=1
{python} -m distributed.cli.dask_worker tls://SCHEDULER:PORT --name NAME --nthreads 1 --memory-limit 29.80GiB\
 --nworkers 2 --nanny --death-timeout 600 --no-dashboard --preload napari_nic.runs.remote
"""


def script_of(plan: SlurmPlan) -> str:
    return job_script(plan, ClusterPlan(slurm=plan).config)


def test_the_script_of_a_job(tmp_path: Path) -> None:
    pytest.importorskip("dask_jobqueue", reason="the extra slurm is not installed")
    plan = SlurmPlan(
        4, "gpu", "lab", time="1-00:00:00", memory="64GB", cores=8, gpus=2, logs=tmp_path, interface=""
    )
    assert script_of(plan) == SCRIPT.format(logs=tmp_path, python=sys.executable)
    assert (plan.processes, plan.threads) == (2, 4)


def test_what_is_not_said_is_the_sites_own() -> None:
    pytest.importorskip("dask_jobqueue", reason="the extra slurm is not installed")
    script = script_of(SlurmPlan(1))
    for option in ("-p ", "-A ", "--gres", "-o ", "ONE_GPU"):
        assert option not in script
    assert "--nworkers" not in script


@pytest.mark.parametrize(
    "wrong",
    [{"time": "soon"}, {"time": "1:00\n#SBATCH --uid=0"}, {"partition": "a\nb"}, {"account": "$(id)"}],
)
def test_what_would_be_another_line_of_the_script_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(InvalidParameterError):
        SlurmPlan(1, **wrong)


@pytest.mark.parametrize(
    ("visible", "number", "gpu"),
    [("4,7", "0", "4"), ("4,7", "1", "7"), ("", "1", "1"), ("GPU-a", "3", "GPU-a"), ("2", "job", "2")],
)
def test_each_process_of_a_job_sees_one_gpu(visible: str, number: str, gpu: str) -> None:
    assert own_gpu(visible, number) == gpu


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_nic.extras.find_spec", lambda _name: None)
    with pytest.raises(MissingDependencyError, match="dask_jobqueue"):
        script_of(SlurmPlan(1))


@pytest.mark.skipif(shutil.which("sbatch") is not None, reason="there is a Slurm here")
def test_no_slurm_is_said_and_nothing_stays(tmp_path: Path) -> None:
    pytest.importorskip("dask_jobqueue", reason="the extra slurm is not installed")
    with (
        pytest.raises(NicError, match="Slurm did not take the jobs"),
        cluster_pool(ClusterPlan(slurm=SlurmPlan(1)), place=tmp_path),
    ):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="there is no Slurm for Windows")
@pytest.mark.parametrize(
    ("does", "said"),
    [("echo no such partition >&2; exit 1", "no such partition"), ("echo hello", "Could not parse job id")],
)
def test_a_refusal_of_slurm_is_said(
    does: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("dask_jobqueue", reason="the extra slurm is not installed")
    (tmp_path / "bin").mkdir()
    sbatch = tmp_path / "bin" / "sbatch"
    sbatch.write_text(f"#!/bin/sh\n{does}\n")
    sbatch.chmod(0o755)
    monkeypatch.setenv("PATH", f"{sbatch.parent}{os.pathsep}{os.environ['PATH']}")
    place = tmp_path / "run"
    with (
        pytest.raises(NicError, match=f"(?s)Slurm did not take the jobs.*{said}"),
        cluster_pool(ClusterPlan(slurm=SlurmPlan(2)), place=place),
    ):
        pass
    assert not list(place.iterdir())


def test_settings_reach_processes_that_others_start() -> None:
    found = slurm.as_environment(
        {"distributed.worker.daemon": False, "distributed.scheduler.x": 1, "distributed.a.b-c": "60 s"}
    )
    assert found == {"DASK_DISTRIBUTED__WORKER__DAEMON": "'False'", "DASK_DISTRIBUTED__A__B_C": "'60 s'"}
