"""tf.io.gfile: files by Python's own functions. Errors are tenon.errors' classes."""
import os

from tenon import errors


def _path(path):
    path = os.fspath(path)
    return path.decode() if isinstance(path, bytes) else path


class _Errors:
    """What the operating system refuses, as TensorFlow names it."""

    def __enter__(self):
        pass

    def __exit__(self, kind, error, _):
        if kind is None or not issubclass(kind, OSError):
            return
        for of, name in ((FileNotFoundError, "NotFoundError"), (FileExistsError, "AlreadyExistsError"),
                         (PermissionError, "PermissionDeniedError"), (OSError, "FailedPreconditionError")):
            if issubclass(kind, of):
                raise getattr(errors, name)(None, None, f"{error.filename}; {error.strerror}") from None


class GFile:
    """A file; read() gives str, or bytes where the mode has a "b"."""

    def __init__(self, name, mode="r"):
        self._name, self._mode, self._open = _path(name), mode, None

    @property
    def name(self):
        return self._name

    @property
    def mode(self):
        return self._mode

    def _file(self):
        if self._open is None:
            with _Errors():
                self._open = open(self._name, self._mode, **({} if "b" in self._mode else {"encoding": "utf-8"}))  # noqa: SIM115
        return self._open

    def read(self, n=-1):
        return self._file().read(n)

    def readline(self):
        return self._file().readline()

    def readlines(self):
        return self._file().readlines()

    def write(self, file_content):
        self._file().write(file_content)

    def seek(self, offset=None, whence=0, position=None):
        self._file().seek(position if offset is None else offset, whence)

    def tell(self):
        return self._file().tell()

    def size(self):
        with _Errors():
            return os.path.getsize(self._name)

    def seekable(self):
        return True

    def flush(self):
        if self._open is not None:
            self._open.flush()

    def close(self):
        if self._open is not None:
            self._open.close()
            self._open = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __iter__(self):
        return iter(self._file())


def exists(path):
    return os.path.exists(_path(path))


def isdir(path):
    return os.path.isdir(_path(path))


def listdir(path):
    """What a folder holds; folders without a slash."""
    with _Errors():
        return os.listdir(_path(path))


def glob(pattern):
    """The names that match the pattern, or one of several, sorted."""
    from glob import glob as matching
    patterns = [pattern] if isinstance(pattern, (str, bytes)) or hasattr(pattern, "__fspath__") else pattern
    return sorted({name for each in patterns for name in matching(_path(each))})


def join(path, *paths):
    return os.path.join(path, *paths)


def mkdir(path):
    """Makes a folder, whose parent must be there; one that is there already stays."""
    if not os.path.isdir(_path(path)):
        with _Errors():
            os.mkdir(_path(path))


def makedirs(path):
    with _Errors():
        os.makedirs(_path(path), exist_ok=True)


def remove(path):
    with _Errors():
        os.remove(_path(path))


def rmtree(path):
    import shutil  # slow to load
    with _Errors():
        shutil.rmtree(_path(path))


def rename(src, dst, overwrite=False):
    _refuse_existing(dst, overwrite)
    with _Errors():
        os.replace(_path(src), _path(dst))


def copy(src, dst, overwrite=False):
    _refuse_existing(dst, overwrite)
    import shutil
    with _Errors():
        shutil.copyfile(_path(src), _path(dst))


def _refuse_existing(path, overwrite):
    if not overwrite and os.path.exists(_path(path)):
        raise errors.AlreadyExistsError(None, None, f"file already exists: {_path(path)}")


class _Stat:
    def __init__(self, found):
        self.length, self.mtime_nsec = found.st_size, found.st_mtime_ns
        self.is_directory = os.path.stat.S_ISDIR(found.st_mode)


def stat(path):
    with _Errors():
        return _Stat(os.stat(_path(path)))


def walk(top, topdown=True, onerror=None):
    return os.walk(_path(top), topdown, onerror)
