/* The stored models of TensorFlow Lite by the C interface: the answers of its interpreter.
 *
 *   lite_cases FOLDER [NAME]     FOLDER holds NAME.tflite and NAME.npz, whose arrays "in:X" and
 * "out:X" are what the interpreter was given and answered (tests/interop/lite_models.py --store)
 *   lite_cases FOLDER --damaged  cuts the files off: errors, no crashes
 *
 * Several threads at once run all of them, each with interpreters of its own. Prints what differs,
 * and a last line with counts. Floats agree within 1e-5 of the largest value, all else is equal. */
#include <dirent.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tenon/lite.h"

typedef struct Array {
  char name[256];
  char descr[8];
  int rank;
  int64_t dims[TENON_LITE_MAX_RANK];
  const unsigned char* data;
  size_t bytes;
} Array;

enum { MOST_ARRAYS = 32, ITEM_OF_STRINGS = 64 };

typedef struct Arrays {
  unsigned char* file;
  int count;
  Array array[MOST_ARRAYS];
} Arrays;

static void die(const char* what, const char* where) {
  fprintf(stderr, "lite_cases: %s: %s\n", where, what);
  exit(2);
}

static size_t little(const unsigned char* at, int bytes) {
  size_t value = 0;
  while (bytes-- > 0) value = value << 8 | at[bytes];
  return value;
}

static unsigned char* read_whole(const char* path, size_t* size) {
  FILE* file = fopen(path, "rb");
  unsigned char* bytes;
  if (!file) die("cannot be opened", path);
  fseek(file, 0, SEEK_END);
  *size = (size_t)ftell(file);
  rewind(file);
  bytes = malloc(*size + 1);
  if (!bytes || fread(bytes, 1, *size, file) != *size) die("cannot be read", path);
  fclose(file);
  return bytes;
}

/* The header of an .npy: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } */
static void read_header(Array* array, const unsigned char* npy, size_t bytes, const char* path) {
  const size_t length = little(npy + 8, 2);
  char header[512];
  char* at;
  if (npy[6] != 1 || length >= sizeof header) die("an array of another version", path);
  memcpy(header, npy + 10, length);
  header[length] = 0;
  if (!(at = strstr(header, "'descr': '"))) die("an array without a type", path);
  sscanf(at + 10, "%7[^']", array->descr);
  if (!(at = strstr(header, "'shape': ("))) die("an array without a shape", path);
  for (at += 10; *at && *at != ')';) {
    if (*at == ',' || *at == ' ') {
      ++at;
    } else {
      if (array->rank == TENON_LITE_MAX_RANK) die("too many dimensions", path);
      array->dims[array->rank++] = strtol(at, &at, 10);
    }
  }
  array->data = npy + 10 + length;
  array->bytes = bytes - 10 - length;
}

/* An .npz of numpy.savez: a zip of stored files, found by its central directory. */
static void read_arrays(const char* path, Arrays* arrays) {
  size_t size, entry, count, i;
  unsigned char* file = arrays->file = read_whole(path, &size);
  const unsigned char* end = file + size - 22;
  arrays->count = 0;
  if (size < 22 || little(end, 4) != 0x06054b50) die("no zip", path);
  count = little(end + 10, 2);
  entry = little(end + 16, 4);
  for (i = 0; i < count; ++i) {
    const unsigned char* central = file + entry;
    const size_t name = little(central + 28, 2);
    const unsigned char* local = file + little(central + 42, 4);
    const unsigned char* npy = local + 30 + little(local + 26, 2) + little(local + 28, 2);
    Array* array = &arrays->array[arrays->count++];
    if (arrays->count == MOST_ARRAYS || name >= sizeof array->name) die("too many arrays", path);
    if (little(central + 10, 2) != 0) die("a compressed array", path);
    memset(array, 0, sizeof *array);
    memcpy(array->name, central + 46, name);
    array->name[name - 4] = 0; /* .npy */
    read_header(array, npy, little(central + 24, 4), path);
    entry += 46 + name + little(central + 30, 2) + little(central + 32, 2);
  }
}

static const Array* find(const Arrays* arrays, const char* kind, const char* name) {
  const size_t length = strlen(kind);
  int i;
  for (i = 0; i < arrays->count; ++i) {
    const Array* array = &arrays->array[i];
    if (strncmp(array->name, kind, length) == 0 && strcmp(array->name + length, name) == 0)
      return array;
  }
  return NULL;
}

static int64_t elements(const Array* array) {
  int64_t count = 1;
  int i;
  for (i = 0; i < array->rank; ++i) count *= array->dims[i];
  return count;
}

/* Texts of NumPy's type S: of one length, zeros behind shorter ones. */
static size_t text_length(const Array* array, int64_t element, const char** text) {
  const size_t item = (size_t)atoi(array->descr + 2);
  const char* at = (const char*)array->data + item * (size_t)element;
  size_t length = item;
  while (length > 0 && at[length - 1] == 0) --length;
  *text = at;
  return length;
}

static int give(TenonLiteInterpreter* interpreter, int index, const Array* array) {
  const char* texts[ITEM_OF_STRINGS];
  size_t lengths[ITEM_OF_STRINGS];
  int64_t i;
  if (tenon_lite_resize_input(interpreter, index, array->rank, array->dims) != TENON_LITE_OK)
    return 0;
  if (array->descr[1] != 'S') {
    return tenon_lite_set_input(interpreter, index, array->data, array->bytes) == TENON_LITE_OK;
  }
  if (elements(array) > ITEM_OF_STRINGS) die("too many strings", array->name);
  for (i = 0; i < elements(array); ++i) lengths[i] = text_length(array, i, &texts[i]);
  return tenon_lite_set_strings(interpreter, index, texts, lengths, (size_t)elements(array)) ==
         TENON_LITE_OK;
}

static int agrees(TenonLiteInterpreter* interpreter, int index, const Array* want) {
  TenonLiteTensor got;
  int64_t i;
  if (tenon_lite_output(interpreter, index, &got) != TENON_LITE_OK || got.rank != want->rank)
    return 0;
  for (i = 0; i < got.rank; ++i) {
    if (got.dims[i] != want->dims[i]) return 0;
  }
  if (want->descr[1] == 'S') {
    for (i = 0; i < elements(want); ++i) {
      const char *text, *wanted;
      size_t length, size = text_length(want, i, &wanted);
      if (tenon_lite_get_string(interpreter, index, (size_t)i, &text, &length) != TENON_LITE_OK ||
          length != size || memcmp(text, wanted, size) != 0) {
        return 0;
      }
    }
    return 1;
  }
  if (got.bytes != want->bytes) return 0;
  if (got.type == TENON_LITE_FLOAT32) {
    const float* values = got.data;
    float largest = 0, value;
    for (i = 0; i < elements(want); ++i) {
      memcpy(&value, want->data + 4 * i, 4);
      largest = fmaxf(largest, fabsf(value));
    }
    for (i = 0; i < elements(want); ++i) {
      memcpy(&value, want->data + 4 * i, 4);
      if (!(fabsf(values[i] - value) <= 1e-5F * largest + 1e-7F)) return 0;
    }
    return 1;
  }
  return want->bytes == 0 || memcmp(got.data, want->data, want->bytes) == 0;
}

/* Runs the case twice, the second time on the values that the first left; 1 where all agrees. */
static int run_case(const char* folder, const char* name) {
  char path[1024];
  Arrays arrays;
  TenonLiteModel* model;
  TenonLiteInterpreter* interpreter;
  int i, run, good = 1;
  snprintf(path, sizeof path, "%s/%s.npz", folder, name);
  read_arrays(path, &arrays);
  snprintf(path, sizeof path, "%s/%s.tflite", folder, name);
  model = tenon_lite_model_from_file(path);
  interpreter = model ? tenon_lite_interpreter_new(model) : NULL;
  tenon_lite_model_free(model);
  if (!interpreter) {
    printf("%s: %s\n", name, tenon_lite_error());
    free(arrays.file);
    return 0;
  }
  for (run = 0; good && run < 2; ++run) {
    good = tenon_lite_reset(interpreter) == TENON_LITE_OK;
    for (i = 0; good && i < tenon_lite_input_count(interpreter); ++i) {
      TenonLiteTensor input;
      const Array* array;
      good = tenon_lite_input(interpreter, i, &input) == TENON_LITE_OK;
      array = good ? find(&arrays, "in:", input.name) : NULL;
      good = array && give(interpreter, i, array);
    }
    good = good && tenon_lite_invoke(interpreter) == TENON_LITE_OK;
    if (!good) printf("%s: %s\n", name, tenon_lite_error());
    for (i = 0; good && i < tenon_lite_output_count(interpreter); ++i) {
      TenonLiteTensor output;
      const Array* array;
      good = tenon_lite_output(interpreter, i, &output) == TENON_LITE_OK;
      array = good ? find(&arrays, "out:", output.name) : NULL;
      good = array && agrees(interpreter, i, array);
      if (!good) printf("%s: output %d is another than the interpreter's\n", name, i);
    }
  }
  tenon_lite_interpreter_free(interpreter);
  free(arrays.file);
  return good;
}

/* What a caller may do wrong is a sentence. */
static int run_mistakes(const char* folder) {
  char path[1024];
  TenonLiteModel* model;
  TenonLiteInterpreter* interpreter;
  TenonLiteTensor tensor;
  const int64_t dims[] = {1, 2, 3, 4, 5};
  int good = 1;
  snprintf(path, sizeof path, "%s/net_mlp.tflite", folder);
  model = tenon_lite_model_from_file(path);
  interpreter = model ? tenon_lite_interpreter_new(model) : NULL;
  if (!interpreter) return 0;
#define EXPECT(condition, part)                                     \
  if (!(condition) || !strstr(tenon_lite_error(), part)) {          \
    printf("mistakes: " #condition ": '%s'\n", tenon_lite_error()); \
    good = 0;                                                       \
  }
  EXPECT(!tenon_lite_model_from_file("/nowhere.tflite"), "NOT_FOUND")
  EXPECT(!tenon_lite_model_from_memory("garbage", 7), "INVALID_ARGUMENT")
  EXPECT(!tenon_lite_model_from_memory(NULL, 0), "INVALID_ARGUMENT")
  EXPECT(tenon_lite_input(interpreter, 9, &tensor) == TENON_LITE_OUT_OF_RANGE,
         "there is no input 9")
  EXPECT(tenon_lite_output(interpreter, -1, &tensor) == TENON_LITE_OUT_OF_RANGE,
         "there is no output -1")
  EXPECT(tenon_lite_get_output(interpreter, 0, &tensor, 4) == TENON_LITE_FAILED_PRECONDITION,
         "has no value")
  EXPECT(tenon_lite_set_input(interpreter, 0, dims, 3) == TENON_LITE_INVALID_ARGUMENT,
         "3 were given")
  EXPECT(tenon_lite_resize_input(interpreter, 0, 5, dims) == TENON_LITE_INVALID_ARGUMENT,
         "5 dimensions")
  EXPECT(tenon_lite_select_signature(interpreter, "none") == TENON_LITE_NOT_FOUND,
         "no signature 'none'")
  EXPECT(!tenon_lite_signature_name(interpreter, 99), "no signature 99")
  tenon_lite_interpreter_free(interpreter);
  tenon_lite_model_free(model);
  return good;
}

enum { MOST_CASES = 256, THREADS = 4 };

typedef struct Cases {
  const char* folder;
  int count;
  char name[MOST_CASES][128];
} Cases;

static void list_cases(const char* path, Cases* cases) {
  DIR* folder = opendir(path);
  const struct dirent* entry;
  if (!folder) die("is no folder", path);
  cases->folder = path;
  cases->count = 0;
  while ((entry = readdir(folder))) {
    const size_t length = strlen(entry->d_name);
    if (length < 8 || strcmp(entry->d_name + length - 7, ".tflite") != 0) continue;
    if (cases->count == MOST_CASES || length - 7 >= sizeof cases->name[0])
      die("too many cases", path);
    memcpy(cases->name[cases->count], entry->d_name, length - 7);
    cases->name[cases->count++][length - 7] = 0;
  }
  closedir(folder);
}

/* A thread that runs all of them; how many agree. */
static void* run_cases(void* given) {
  const Cases* cases = given;
  intptr_t passed = 0;
  int i;
  for (i = 0; i < cases->count; ++i) passed += run_case(cases->folder, cases->name[i]);
  return (void*)passed;
}

/* Loads and runs what may be no model; 1 where that went well. */
static int run_bytes(const unsigned char* bytes, size_t size) {
  TenonLiteModel* model = tenon_lite_model_from_memory(bytes, size);
  TenonLiteInterpreter* interpreter = model ? tenon_lite_interpreter_new(model) : NULL;
  const int good = interpreter && tenon_lite_invoke(interpreter) == TENON_LITE_OK;
  tenon_lite_model_free(model);
  tenon_lite_interpreter_free(interpreter);
  return good;
}

/* Files that were cut off are refused with a sentence. */
static int run_damaged(const Cases* cases) {
  enum { CUTS = 16 };
  int i, k, wrong = 0;
  for (i = 0; i < cases->count; ++i) {
    char path[1024];
    unsigned char* bytes;
    size_t size;
    snprintf(path, sizeof path, "%s/%s.tflite", cases->folder, cases->name[i]);
    bytes = read_whole(path, &size);
    for (k = 0; k < CUTS; ++k) {
      if (run_bytes(bytes, size * (size_t)k / CUTS) || tenon_lite_error()[0] == 0) {
        printf("%s: not refused at %d of %d\n", cases->name[i], k, CUTS);
        ++wrong;
      }
    }
    free(bytes);
  }
  return cases->count > 0 && wrong == 0 ? 0 : 1;
}

int main(int argc, char** argv) {
  static Cases cases;
  pthread_t thread[THREADS];
  int i, failed;
  if (argc < 2) die("usage: lite_cases FOLDER [NAME]", argv[0]);
  if (argc > 2 && strcmp(argv[2], "--damaged") == 0) {
    list_cases(argv[1], &cases);
    return run_damaged(&cases);
  }
  if (argc > 2) return run_case(argv[1], argv[2]) ? 0 : 1;
  list_cases(argv[1], &cases);
  failed = THREADS * cases.count;
  for (i = 0; i < THREADS; ++i) {
    if (pthread_create(&thread[i], NULL, run_cases, &cases) != 0) die("no thread", argv[0]);
  }
  for (i = 0; i < THREADS; ++i) {
    void* passed;
    pthread_join(thread[i], &passed);
    failed -= (int)(intptr_t)passed;
  }
  printf("%d cases on each of %d threads, %d runs differ\n", cases.count, THREADS, failed);
  failed += !run_mistakes(argv[1]);
  return cases.count > 0 && failed == 0 ? 0 : 1;
}
