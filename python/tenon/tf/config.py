"""tf.config: devices, of which there is the processor."""
import collections

from tenon.tf import missing

PhysicalDevice = collections.namedtuple("PhysicalDevice", ["name", "device_type"])
LogicalDevice = collections.namedtuple("LogicalDevice", ["name", "device_type"])


def list_physical_devices(device_type=None):
    return [PhysicalDevice("/physical_device:CPU:0", "CPU")] if device_type in (None, "CPU") else []


def list_logical_devices(device_type=None):
    return [LogicalDevice("/device:CPU:0", "CPU")] if device_type in (None, "CPU") else []


config = missing.namespace("tf.config", list_physical_devices=list_physical_devices,
                           list_logical_devices=list_logical_devices)
sysconfig = missing.namespace("tf.sysconfig", get_build_info=lambda: {"is_cuda_build": False, "is_rocm_build": False})
