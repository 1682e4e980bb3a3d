"""python -m tenon run [-m] SCRIPT [ARGS]: the script as Python runs it, with `import tensorflow` giving tenon.tf."""
import os
import runpy
import sys
import types

_USAGE = "usage: python -m tenon run SCRIPT [ARGS...]\n       python -m tenon run -m MODULE [ARGS...]"


def _as_main(path):
    """Runs the file as the program's main module."""
    with open(path, "rb") as file:
        code = compile(file.read(), path, "exec")
    main = types.ModuleType("__main__")
    main.__file__, main.__builtins__ = path, __builtins__
    sys.modules["__main__"] = main
    sys.path[0] = os.path.dirname(os.path.abspath(path))
    exec(code, main.__dict__)


def _report(error):
    """As the interpreter tells of what ends a program, without the frames of this file."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_frame.f_code.co_filename in (__file__, runpy.__file__, "<frozen runpy>"):
        traceback = traceback.tb_next
    sys.excepthook(type(error), error.with_traceback(traceback), traceback)


def main(argv):
    if len(argv) < 2 or argv[0] != "run" or argv[1:] == ["-m"]:
        sys.exit(_USAGE)
    is_module = argv[1] == "-m"
    script, args = (argv[2], argv[3:]) if is_module else (argv[1], argv[2:])
    if not is_module and not os.path.isfile(script):
        sys.exit(f"{sys.executable}: can't open file {os.path.abspath(script)!r}: [Errno 2] No such file or directory")
    from tenon import as_tensorflow
    as_tensorflow.install()
    sys.argv = [script, *args]
    try:
        if is_module:
            runpy.run_module(script, run_name="__main__", alter_sys=True)
        else:
            _as_main(script)
    except Exception as error:  # noqa: BLE001: whatever ends the program
        _report(error)
        sys.exit(1)
    except KeyboardInterrupt as error:
        _report(error)
        sys.exit(130)


if __name__ == "__main__":
    main(sys.argv[1:])
