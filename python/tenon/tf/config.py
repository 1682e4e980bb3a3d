"""tf.config: devices. There is the processor, which may be several logical devices that share its memory and threads, and
what plug-ins bring."""
import collections
import re

from tenon import _tenon
from tenon.function import Function
from tenon.tf import missing
from tenon.tf.rare import testing


class PhysicalDevice(collections.namedtuple("PhysicalDevice", ["name", "device_type"])):
    pass


class LogicalDevice(collections.namedtuple("LogicalDevice", ["name", "device_type"])):
    pass


class LogicalDeviceConfiguration(collections.namedtuple(
        "LogicalDeviceConfiguration", ["memory_limit", "experimental_priority", "experimental_device_ordinal"])):
    """A logical device of a physical one. The numbers are for GPUs."""

    def __new__(cls, memory_limit=None, experimental_priority=None, experimental_device_ordinal=None):
        return super().__new__(cls, memory_limit, experimental_priority, experimental_device_ordinal)


_CPU = PhysicalDevice("/physical_device:CPU:0", "CPU")


class _State:
    """What was set; `used` once the logical devices have been asked for: then they stay."""

    hidden, configurations, growth, used, soft_placement = frozenset(), None, {}, False, True
    intra_op_threads = inter_op_threads = 0
    tensor_float_32 = True


def _plugin_devices():
    """The devices of plug-ins, which are loaded now, with what they say of themselves."""
    found, counts = {}, collections.Counter()
    for kind, description in _tenon.plugin_devices():
        found[PhysicalDevice(f"/physical_device:{kind}:{counts[kind]}", kind)] = description
        counts[kind] += 1
    return found


def plugin_types():
    """The types of devices that plug-ins bring."""
    return {device.device_type for device in _plugin_devices()}


def _physical():
    return [_CPU, *_plugin_devices()]


def _of_type(devices, device_type):
    return [device for device in devices if device_type in (None, device.device_type)]


def _is_used():
    """Whether it is too late to change which devices there are."""
    return _State.used or _tenon.devices_used()


def list_physical_devices(device_type=None):
    """The devices of the machine."""
    return [_CPU] if device_type == "CPU" else _of_type(_physical(), device_type)


def list_logical_devices(device_type=None):
    """The devices that programs see."""
    _State.used = True
    logical = [LogicalDevice(f"/device:CPU:{i}", "CPU") for i in range(len(_State.configurations or [None]))]
    counts = collections.Counter()
    for device in [] if device_type == "CPU" else get_visible_devices():
        if device != _CPU:
            logical.append(LogicalDevice(f"/device:{device.device_type}:{counts[device.device_type]}", device.device_type))
            counts[device.device_type] += 1
    return _of_type(logical, device_type)


def accelerators():
    """The logical devices of the kind that functions run on; [] where that is the processor."""
    kind = _tenon.default_device_type()
    return [] if kind == "CPU" else list_logical_devices(kind)


def get_visible_devices(device_type=None):
    return _of_type([device for device in _physical() if device not in _State.hidden], device_type)


def set_visible_devices(devices, device_type=None):
    """Which of the physical devices are used, before they are. The processor has to be among them."""
    devices = devices if isinstance(devices, list) else [devices]
    for device in devices:
        _known(device)
        if device_type not in (None, device.device_type):
            raise ValueError(f"Unrecognized device: {device!r}")
    if not devices and device_type in (None, "CPU"):
        raise ValueError("What other devices leave to it runs on the processor: it stays visible.")
    hidden = frozenset(device for device in _physical()[1:] if device not in devices and (
        device_type in (None, device.device_type) or device in _State.hidden))
    if hidden == _State.hidden:
        return
    if _is_used():
        raise RuntimeError("Visible devices cannot be modified after being initialized")
    _State.hidden = hidden
    _tenon.see_devices([i for i, device in enumerate(_plugin_devices()) if device not in hidden])


def _known(device):
    if device != _CPU and device not in _plugin_devices():
        raise ValueError(f"Unrecognized device: {device!r}")


def get_logical_device_configuration(device):
    """As it was set; None where it was not."""
    _known(device)
    return None if device != _CPU or _State.configurations is None else list(_State.configurations)


def set_logical_device_configuration(device, logical_devices):
    """Makes the processor as many logical devices, before they are used."""
    _known(device)
    wanted = [LogicalDeviceConfiguration(*each) for each in logical_devices]
    if device != _CPU:
        raise ValueError(f"{device.name} is one logical device. Its memory is bounded by the environment's "
                         "TENON_GPU_MEMORY_LIMIT (MB), before the program is started.")
    if any(each.memory_limit is not None for each in wanted):
        raise ValueError("Setting memory limit on CPU virtual devices is currently not supported")
    if any(each.experimental_priority is not None for each in wanted):
        raise ValueError("Setting experimental_priority on CPU virtual devices is currently not supported")
    if wanted == (_State.configurations or [LogicalDeviceConfiguration()]):
        return
    if _State.used:
        raise RuntimeError("Virtual devices cannot be modified after being initialized")
    if not 1 <= len(wanted) <= 64:
        raise ValueError(f"The processor is made 1 to 64 logical devices, not {len(wanted)}.")
    _State.configurations = wanted


def _set_memory_growth(device, enable):
    """Kept: memory is taken when it is needed in any case."""
    _known(device)
    if device == _CPU:
        raise ValueError("Cannot set memory growth on non-GPU and non-Pluggable devices")
    if _State.growth.get(device) == enable:
        return
    if _is_used():
        raise RuntimeError("Physical devices cannot be modified after being initialized")
    _State.growth[device] = bool(enable)


def _get_memory_growth(device):
    """As it was set; None where it was not."""
    _known(device)
    if device == _CPU:
        raise ValueError("Memory growth is of GPUs and devices of plug-ins.")
    return _State.growth.get(device)


def set_soft_device_placement(enabled):
    """Whether tf.device takes the name of a device that is not there, and ops then run where they do without it."""
    _State.soft_placement = bool(enabled)


def get_soft_device_placement():
    return _State.soft_placement


def run_functions_eagerly(run_eagerly):
    """Whether functions of tf.function run as Python from now on."""
    Function.run_eagerly = bool(run_eagerly)


def functions_run_eagerly():
    return Function.run_eagerly


def _threads(name):
    def get():
        return getattr(_State, name)

    def set_(num_threads):
        """Kept, and changes nothing: all runs share one pool, of as many threads as there are processors."""
        setattr(_State, name, int(num_threads))

    return get, set_


_get_intra, _set_intra = _threads("intra_op_threads")
_get_inter, _set_inter = _threads("inter_op_threads")
threading = missing.namespace(
    "tf.config.threading", get_intra_op_parallelism_threads=_get_intra, set_intra_op_parallelism_threads=_set_intra,
    get_inter_op_parallelism_threads=_get_inter, set_inter_op_parallelism_threads=_set_inter)


def _details(device):
    """The name of a GPU and its compute capability, from what its plug-in says."""
    _known(device)
    if device == _CPU:
        return {}
    name, *more = _plugin_devices()[device].split(", ")
    details = {"device_name": name}
    for part in more:
        found = re.fullmatch(r"compute capability (\d+)\.(\d+)", part)
        if found:
            details["compute_capability"] = tuple(map(int, found.groups()))
    return details


def _enable_op_determinism():
    """Sums are taken in one order whatever the number of threads."""


_optimizer = {"options": {"disable_meta_optimizer": False, "disable_model_pruning": False}, "jit": ""}


def _set_experimental_options(options):
    """Kept, and changes nothing: the passes are Tenon's own."""
    _optimizer["options"].update(options)


def _set_jit(enabled):
    """Kept, and changes nothing: what is traced is planned as a whole in any case."""
    _optimizer["jit"] = "autoclustering" if enabled in (True, "autoclustering") else ""


optimizer = missing.namespace(
    "tf.config.optimizer", get_experimental_options=lambda: dict(_optimizer["options"]),
    set_experimental_options=_set_experimental_options, get_jit=lambda: _optimizer["jit"], set_jit=_set_jit)


def _enable_tensor_float_32(enabled):
    """Kept, and changes nothing: products of float32 are exact ones of float32."""
    _State.tensor_float_32 = bool(enabled)


def _memory_info(device):
    """The bytes that are taken on a device, and the most that were."""
    name = str(device).rpartition("/device:")[2].lstrip("/")
    if name not in [each.name.rpartition("device:")[2] for each in list_logical_devices() if each.device_type != "CPU"]:
        raise ValueError(f"No matching devices found for '{device}'")
    raise NotImplementedError("Tenon's plug-ins do not say how much of a device's memory is taken.")


experimental = missing.namespace(
    "tf.config.experimental", enable_tensor_float_32_execution=_enable_tensor_float_32, get_memory_info=_memory_info,
    tensor_float_32_execution_enabled=lambda: _State.tensor_float_32, list_physical_devices=list_physical_devices, list_logical_devices=list_logical_devices,
    get_visible_devices=get_visible_devices, set_visible_devices=set_visible_devices,
    set_memory_growth=_set_memory_growth, get_memory_growth=_get_memory_growth,
    VirtualDeviceConfiguration=LogicalDeviceConfiguration, get_device_details=_details,
    set_virtual_device_configuration=set_logical_device_configuration,
    get_virtual_device_configuration=get_logical_device_configuration, enable_op_determinism=_enable_op_determinism)
config = missing.namespace(
    "tf.config", {f.__name__: f for f in (
        PhysicalDevice, LogicalDevice, LogicalDeviceConfiguration, list_physical_devices, list_logical_devices,
        get_visible_devices, set_visible_devices, get_logical_device_configuration, set_logical_device_configuration,
        set_soft_device_placement, get_soft_device_placement, run_functions_eagerly, functions_run_eagerly)},
    threading=threading, experimental=experimental, optimizer=optimizer)
sysconfig = missing.namespace("tf.sysconfig", get_build_info=lambda: {"is_cuda_build": False, "is_rocm_build": False})


def _is_gpu_available(cuda_only=False, min_cuda_compute_capability=None):
    """Whether programs see a GPU, of at least that compute capability."""
    return any(min_cuda_compute_capability is None or
               _details(device).get("compute_capability", (0, 0)) >= tuple(min_cuda_compute_capability)
               for device in get_visible_devices("GPU"))


def _gpu_device_name():
    """That of the first GPU; empty where there is none."""
    return next((device.name for device in list_logical_devices("GPU")), "")


test = missing.namespace("tf.test", TestCase=testing.TestCase, main=testing.main, compute_gradient=testing.compute_gradient,
                         assert_equal_graph_def=testing.assert_equal_graph_def, is_gpu_available=_is_gpu_available, gpu_device_name=_gpu_device_name,
                         is_built_with_cuda=lambda: "GPU" in plugin_types(), is_built_with_rocm=lambda: False,
                         is_built_with_xla=lambda: False, is_built_with_gpu_support=lambda: "GPU" in plugin_types())
