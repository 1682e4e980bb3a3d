"""tf.config: devices. There is the processor, which may be several logical devices that share its memory and threads."""
import collections

from tenon.function import Function
from tenon.tf import missing


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

    visible, configurations, used, soft_placement = [_CPU], None, False, True
    intra_op_threads = inter_op_threads = 0


def list_physical_devices(device_type=None):
    """The devices of the machine."""
    return [_CPU] if device_type in (None, "CPU") else []


def list_logical_devices(device_type=None):
    """The devices that programs see."""
    _State.used = True
    if device_type not in (None, "CPU") or _CPU not in _State.visible:
        return []
    return [LogicalDevice(f"/device:CPU:{i}", "CPU") for i in range(len(_State.configurations or [None]))]


def get_visible_devices(device_type=None):
    return [device for device in _State.visible if device_type in (None, device.device_type)]


def set_visible_devices(devices, device_type=None):
    """Which of the physical devices are used. The processor has to be among them."""
    devices = devices if isinstance(devices, (list, tuple)) else [devices]
    for device in devices:
        _known(device)
        if device_type is not None and device.device_type != device_type:
            raise ValueError(f"Unrecognized device: {device!r}")
    if device_type not in (None, "CPU"):
        return
    if not devices:
        raise ValueError("The processor is the device that Tenon's Python package runs on: it stays visible.")


def _known(device):
    if device != _CPU:
        raise ValueError(f"Unrecognized device: {device!r}")


def get_logical_device_configuration(device):
    """As it was set; None where it was not."""
    _known(device)
    return None if _State.configurations is None else list(_State.configurations)


def set_logical_device_configuration(device, logical_devices):
    """Makes the processor as many logical devices, before they are used."""
    _known(device)
    wanted = [LogicalDeviceConfiguration(*each) for each in logical_devices]
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
    """For GPUs: memory of the processor is taken when it is needed anyway."""
    _known(device)
    raise ValueError("Cannot set memory growth on non-GPU and non-Pluggable devices")


def _get_memory_growth(device):
    _known(device)
    raise ValueError("Memory growth is of GPUs; Tenon's Python package runs on the processor.")


def set_soft_device_placement(enabled):
    """Kept: there is one processor, on which all ops run wherever they are placed."""
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
    _known(device)
    return {}


def _enable_op_determinism():
    """Sums are taken in one order whatever the number of threads."""


experimental = missing.namespace(
    "tf.config.experimental", list_physical_devices=list_physical_devices, list_logical_devices=list_logical_devices,
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
    threading=threading, experimental=experimental)
sysconfig = missing.namespace("tf.sysconfig", get_build_info=lambda: {"is_cuda_build": False, "is_rocm_build": False})
