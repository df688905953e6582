"""A real cluster of two nodes on this machine: the same results, also if a node is lost."""

import os
import signal
import sys
import time
from pathlib import Path

import batching_fakes
import pytest
import quick_worker
import replaced_painting
from batching_fakes import make_jobs
from test_batch import pictures, run, statuses

from texcsd.batching import batch as batch_module
from texcsd.batching.crews import SECONDS_TO_SAVE
from texcsd.batching.ray_crew import RayActors
from texcsd.batching.records import Job, Outcome
from texcsd.batching.schedule import run_jobs

ray = pytest.importorskip("ray", reason="the extra texcsd[ray] is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    from ray.cluster_utils import Cluster

    variables = {
        "RAY_USAGE_STATS_ENABLED": "0",
        quick_worker.KILLED_ONCE: str(tmp_path_factory.mktemp("ray") / "killed-once"),
    }
    os.environ.update(variables)
    # Their processes cannot import the modules of the tests.
    for module in (batching_fakes, quick_worker, replaced_painting, sys.modules[__name__]):
        ray.cloudpickle.register_pickle_by_value(module)
    size = {"object_store_memory": 100 * 2**20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, **size})
    cluster.second = cluster.add_node(num_cpus=1, object_store_memory=100 * 2**20)
    ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")
    yield cluster
    ray.shutdown()
    cluster.shutdown()
    for name in variables:
        del os.environ[name]


class NodeTeller:
    """Says where it is, after as many hundredths of a second as the job has steps."""

    def paint(self, job: Job, on_step) -> Outcome:
        for step in range(job.settings.steps):
            on_step(step)
            time.sleep(0.01)
        return Outcome("painted", reason=ray.get_runtime_context().get_node_id())


def test_a_batch_on_ray_paints_what_is_painted_in_turn_even_if_an_actor_is_killed(
    cluster, assets, tmp_path, synthesis, monkeypatch
) -> None:
    run(assets, tmp_path / "turn")
    monkeypatch.setattr(batch_module, "Worker", quick_worker.QuickWorker)
    result = run(assets, tmp_path / "out", executor="ray", workers=2)
    assert [one.kind for one in result.unfinished] == ["problem"]
    assert statuses(result)["cube-gold"] == "painted"
    assert {one.job.name: one.attempts for one in result.results}["cube-gold"] == 2
    assert pictures(tmp_path / "out") == pictures(tmp_path / "turn")


def test_news_come_of_steps_and_closing_interrupts(cluster) -> None:
    crew = RayActors(NodeTeller, 1, None)
    crew.start(0, make_jobs(1, steps=1_000_000)[0])
    deadline, reports = time.monotonic() + 60, []
    while not any(report.news for report in reports):
        assert time.monotonic() < deadline
        reports += crew.wait(0.2)
    started = time.monotonic()
    crew.close()
    assert time.monotonic() - started < SECONDS_TO_SAVE, "it ended at its next step"


def test_jobs_of_a_lost_node_are_done_on_another(cluster) -> None:
    crew = RayActors(NodeTeller, 2, None)
    nodes: set[str] = set()
    killed = False
    for event in run_jobs(make_jobs(4, steps=200), crew):
        if event.kind == "step" and not killed:
            lose(cluster.second)
            killed = True
        if event.kind == "ended":
            assert event.outcome.status == "painted", event.outcome.reason
            nodes.add(event.outcome.reason)
    assert killed and nodes == {cluster.head_node.node_id}


def lose(node) -> None:
    """Ends the node and what runs on it at once, as when a machine is switched off."""
    (raylet,) = (started.process.pid for started in node.all_processes["raylet"])
    children = Path(f"/proc/{raylet}/task/{raylet}/children").read_text().split()
    for process in (raylet, *map(int, children)):
        os.kill(process, signal.SIGKILL)
