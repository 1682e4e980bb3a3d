"""Which machines take part: TF_CONFIG, and the classes that read it."""
import enum
import json
import os


class ClusterSpec:
    """The addresses of tasks by job."""

    def __init__(self, cluster):
        self._cluster = dict(cluster.as_dict() if isinstance(cluster, ClusterSpec) else cluster)

    def as_dict(self):
        return self._cluster

    def num_workers(self):
        """Of the jobs that train."""
        return sum(len(self._cluster.get(job, ())) for job in ("chief", "worker"))

    def num_tasks(self, job_name):
        if job_name not in self._cluster:
            raise ValueError(f"No such job in cluster: {job_name!r}")
        return len(self._cluster[job_name])

    def job_tasks(self, job_name):
        self.num_tasks(job_name)
        return list(self._cluster[job_name])

    @property
    def jobs(self):
        return sorted(self._cluster)

    def __bool__(self):
        return bool(self._cluster)

    def __eq__(self, other):
        return isinstance(other, ClusterSpec) and self._cluster == other._cluster

    def __repr__(self):
        return f"ClusterSpec({self._cluster})"


class ClusterResolver:
    """Base: a cluster of one."""

    task_type = task_id = None
    rpc_layer, environment = "grpc", ""

    def cluster_spec(self):
        return ClusterSpec({})

    def master(self, task_type=None, task_id=None, rpc_layer=None):
        return ""


class SimpleClusterResolver(ClusterResolver):
    def __init__(self, cluster_spec, master="", task_type=None, task_id=None, environment="", num_accelerators=None,
                 rpc_layer=None):
        self._cluster_spec, self._master = ClusterSpec(cluster_spec), master
        self.task_type, self.task_id, self.environment, self.rpc_layer = task_type, task_id, environment, rpc_layer

    def cluster_spec(self):
        return self._cluster_spec

    def master(self, task_type=None, task_id=None, rpc_layer=None):
        return self._master


class TFConfigClusterResolver(ClusterResolver):
    """What the variable TF_CONFIG says when it is asked."""

    def __init__(self, task_type=None, task_id=None, rpc_layer=None, environment=None):
        self._task_type, self._task_id = task_type, task_id

    @staticmethod
    def _config():
        text = os.environ.get("TF_CONFIG") or "{}"
        try:
            config = json.loads(text)
        except ValueError as error:
            raise ValueError(f"TF_CONFIG is no JSON: {error}") from None
        if not isinstance(config, dict):
            raise ValueError(f"TF_CONFIG is to be an object with \"cluster\" and \"task\", not {text}")
        return config

    def cluster_spec(self):
        return ClusterSpec(self._config().get("cluster") or {})

    @property
    def task_type(self):
        return self._task_type if self._task_type is not None else (self._config().get("task") or {}).get("type")

    @property
    def task_id(self):
        found = self._task_id if self._task_id is not None else (self._config().get("task") or {}).get("index")
        return None if found is None else int(found)


class CommunicationImplementation(enum.Enum):
    AUTO, RING, NCCL = "AUTO", "RING", "NCCL"


class CommunicationOptions:
    """How replicas exchange values. They share memory here: it is kept and changes nothing."""

    def __init__(self, bytes_per_pack=0, timeout_seconds=None, implementation=CommunicationImplementation.AUTO):
        self.bytes_per_pack, self.timeout_seconds, self.implementation = bytes_per_pack, timeout_seconds, implementation
