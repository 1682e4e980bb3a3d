"""tf.device and tf.DeviceSpec: where ops are to run."""
from tenon import _tenon, errors


class DeviceSpec:
    """A device's name in its parts, of which any may be left out."""

    _parts = ("job", "replica", "task", "device_type", "device_index")

    def __init__(self, job=None, replica=None, task=None, device_type=None, device_index=None):
        self.job = None if job is None else str(job)
        self.replica, self.task, self.device_index = (None if n is None else int(n) for n in (replica, task, device_index))
        self.device_type = None if device_type is None else str(device_type).upper()

    @classmethod
    def from_string(cls, spec):
        """ValueError for what is no part of a name."""
        found = {}
        for part in filter(None, spec.split("/")):
            key, *rest = part.split(":")
            if key in ("job", "replica", "task") and len(rest) == 1:
                found[key] = rest[0]
                continue
            kind, *index = rest if key == "device" and rest else [key, *rest]
            if kind.upper() not in _kinds() or len(index) > 1 or not all(i == "*" or i.isdigit() for i in index):
                raise ValueError(f"Unknown attribute '{key}' is encountered while parsing the device spec: '{spec}'.")
            if "device_type" in found:
                raise ValueError(f"Multiple device types are not allowed while parsing the device spec: {spec}.")
            found["device_type"] = kind.upper()
            if index and index[0] != "*":
                found["device_index"] = index[0]
        return cls(**found)

    def to_string(self):
        text = "".join(f"/{name}:{value}" for name, value in zip(self._parts, self._values()[:3]) if value is not None)
        if self.device_type is not None:
            text += f"/device:{self.device_type}:{'*' if self.device_index is None else self.device_index}"
        return text

    def _values(self):
        return tuple(getattr(self, name) for name in self._parts)

    def replace(self, **parts):
        return DeviceSpec(**{**dict(zip(self._parts, self._values())), **parts})

    def make_merged_spec(self, dev):
        """What `dev` leaves out as it is here."""
        return self.replace(**{name: value for name, value in zip(self._parts, dev._values()) if value is not None})

    def __eq__(self, other):
        return isinstance(other, DeviceSpec) and self._values() == other._values()

    def __hash__(self):
        return hash(self._values())

    def __repr__(self):
        return f"<DeviceSpec {self.to_string()}>"


def _kinds():
    from tenon.tf.config import plugin_types
    return {"CPU", "GPU", "TPU"} | plugin_types()


def place_of(name):
    """What the engine calls the device of a name: "/device:GPU:0", "" where the name says none."""
    spec = DeviceSpec.from_string(name)
    return "" if spec.device_type is None else f"/device:{spec.device_type}:{spec.device_index or 0}"


class _At:
    """While it is open, the thread's ops are placed there."""

    def __init__(self, place):
        self._place, self._before = place, []

    def __enter__(self):
        self._before.append(_tenon.enter_device(self._place))

    def __exit__(self, *_):
        _tenon.enter_device(self._before.pop())


def device(device_name):
    """Where ops run while it is open, as far as such a device is there; with None where they run by themselves."""
    if isinstance(device_name, DeviceSpec):
        device_name = device_name.to_string()
    name = getattr(device_name, "name", device_name)
    if name is not None and not isinstance(name, str):
        raise ValueError(f"Expecting a string device name. Got {type(device_name)}({device_name})")
    if not name:
        return _At("" if name is None else _tenon.placed_name())
    place = place_of(name)
    if not place.startswith("/device:CPU:") and place and not _tenon.device_is_there(place):
        from tenon.tf import config
        if not config.get_soft_device_placement():
            raise errors.InvalidArgumentError(
                None, None, f"Could not satisfy device specification '/job:localhost/replica:0/task:0{place}'. "
                "enable_soft_placement=0. Supported device types [CPU]. All available devices "
                f"[{', '.join('/job:localhost/replica:0/task:0' + d.name for d in config.list_logical_devices())}].")
    return _At(place or _tenon.placed_name())
