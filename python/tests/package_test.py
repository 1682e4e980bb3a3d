"""What the package is before anything is computed: what it loads, what it links, what others see of it."""
import glob
import os
import re
import subprocess
import sys
import unittest

FOLDER = next(os.path.join(p, "tenon") for p in sys.path if os.path.exists(os.path.join(p, "tenon", "__init__.py")))
MODULE, = glob.glob(os.path.join(FOLDER, "_tenon.*.so"))


def run(code):
    return subprocess.run([sys.executable, "-B", "-c", code], check=True, capture_output=True, text=True).stdout


class PackageTest(unittest.TestCase):
    def test_import_needs_no_numpy_and_little_memory(self):
        seen = run("import tenon, sys, resource, re\n"
                   "a = tenon.constant([1, 2]) + 3\n"
                   "assert a.tolist() == [4, 5]\n"
                   "print('numpy' in sys.modules, 'ml_dtypes' in sys.modules,\n"
                   "      int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]))")
        numpy, ml_dtypes, kilobytes = seen.split()
        self.assertEqual((numpy, ml_dtypes), ("False", "False"))
        self.assertLess(int(kilobytes), 40 << 10)

    def test_import_needs_little_of_the_standard_library(self):
        """What takes the time of an import is what it imports; how long it takes depends on the machine."""
        modules = set(run("import sys\nbefore = set(sys.modules)\nimport tenon\n"
                          "print(*{name.partition('.')[0] for name in set(sys.modules) - before})").split())
        self.assertLess(len(modules), 30, sorted(modules))
        self.assertFalse(modules & {"asyncio", "ast", "inspect", "json", "logging", "re", "subprocess", "tempfile", "typing",
                                    "unittest", "urllib"}, sorted(modules))

    def test_links_neither_protobuf_nor_grpc(self):
        linked = subprocess.run(["ldd", MODULE], check=True, capture_output=True, text=True).stdout
        self.assertNotRegex(linked, r"lib(protobuf|grpc|gpr|upb)")

    def test_others_see_its_entry_alone(self):
        symbols = subprocess.run(["readelf", "--dyn-syms", "-W", MODULE], check=True, capture_output=True, text=True)
        defined = [line.split()[7] for line in symbols.stdout.splitlines()
                   if re.search(r"(FUNC|OBJECT|TLS)\s+(GLOBAL|WEAK|UNIQUE)\s+\S+\s+\d+", line)]
        self.assertEqual(defined, ["PyInit__tenon"])

    def test_loads_its_own_libraries_and_leaves_the_flags_alone(self):
        run("import sys\nbefore = sys.getdlopenflags()\nimport tenon\nassert sys.getdlopenflags() == before")

    def test_every_op_has_a_function(self):
        run("import tenon\nfor n in tenon._engine.op_names(): assert callable(getattr(tenon.raw_ops, n))\n"
            "assert 'AddV2' in dir(tenon.raw_ops)")


if __name__ == "__main__":
    unittest.main()
