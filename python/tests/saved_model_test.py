"""SavedModels of objects: what TensorFlow answers to the same calls, and files that are not as they should be."""
import os
import tempfile
import unittest

import tenon.tf as tf

import saved_model_cases
import truth


class CasesTest(unittest.TestCase):
    pass


truth.add_tests(CasesTest, saved_model_cases.CASES, "saved_model", tf)


class FilesTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = os.path.join(folder.name, "1")
        model = saved_model_cases.make_model(tf)
        tf.saved_model.save(model, self.folder, signatures=model.serve)
        self.file = os.path.join(self.folder, "saved_model.pb")

    def test_damaged_files_are_errors(self):
        with open(self.file, "rb") as file:
            whole = file.read()
        for i in range(0, len(whole), max(1, len(whole) // 60)):
            for damaged in (whole[:i], whole[:i] + bytes([whole[i] ^ 0x5a]) + whole[i + 1:]):
                with open(self.file, "wb") as file:
                    file.write(damaged)
                try:
                    loaded = tf.saved_model.load(self.folder)
                except tf.errors.OpError:
                    continue
                try:
                    loaded.part(tf.ones([2, 2]))
                except (tf.errors.OpError, ValueError, TypeError, AttributeError):
                    pass  # the byte was of a name, or of what a function takes

    def test_variables_without_values(self):
        for name in os.listdir(os.path.join(self.folder, "variables")):
            os.remove(os.path.join(self.folder, "variables", name))
        with self.assertRaises(tf.errors.NotFoundError):
            tf.saved_model.load(self.folder)

    def test_a_folder_is_replaced_whole_or_not_at_all(self):
        with open(os.path.join(self.folder, "other"), "w"):
            pass
        with self.assertRaises(ValueError):
            tf.saved_model.save(tf.Module(), self.folder, signatures=tf.function(lambda x: x))
        self.assertTrue(os.path.exists(os.path.join(self.folder, "other")))
        tf.saved_model.save(tf.Module(), self.folder)
        self.assertFalse(os.path.exists(os.path.join(self.folder, "other")))
        self.assertEqual(os.listdir(os.path.dirname(self.folder)), ["1"])

    def test_options_are_taken(self):
        tf.saved_model.save(tf.Module(), self.folder, options=tf.saved_model.SaveOptions(experimental_io_device="/job:localhost"))
        tf.saved_model.load(self.folder, options=tf.saved_model.LoadOptions(allow_partial_checkpoint=True))
        self.assertTrue(tf.saved_model.contains_saved_model(self.folder))
        self.assertFalse(tf.saved_model.contains_saved_model("/nowhere"))

    def test_other_tags(self):
        with self.assertRaisesRegex(ValueError, "one MetaGraph with tags"):
            tf.saved_model.load(self.folder, tags=["gpu"])


if __name__ == "__main__":
    unittest.main()
