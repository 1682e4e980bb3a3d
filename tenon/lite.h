// TensorFlow Lite's models from C (docs/lite.md, "From C"): the library is the target Tenon::lite.
//
//   TenonLiteModel* model = tenon_lite_model_from_file("keyword.tflite");
//   TenonLiteInterpreter* interpreter = tenon_lite_interpreter_new(model);
//   tenon_lite_set_input(interpreter, 0, samples, sizeof(samples));
//   tenon_lite_invoke(interpreter);
//   tenon_lite_get_output(interpreter, 0, scores, sizeof(scores));
//
// Functions that can fail return a status other than TENON_LITE_OK, a null pointer or -1;
// tenon_lite_error() then says why, in one sentence. Any number of threads may use one model. An
// interpreter is used by one thread at a time; different interpreters run side by side. From the
// second call of tenon_lite_invoke() with the same shapes on, nothing is allocated by it for models
// without variables and recurrent layers, nor by tenon_lite_set_input() and
// tenon_lite_get_output().
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define TENON_LITE_API __attribute__((visibility("default")))
#else
#define TENON_LITE_API
#endif

/* TensorFlow's and gRPC's canonical codes. */
typedef enum TenonLiteStatus {
  TENON_LITE_OK = 0,
  TENON_LITE_UNKNOWN = 2,
  TENON_LITE_INVALID_ARGUMENT = 3,
  TENON_LITE_NOT_FOUND = 5,
  TENON_LITE_RESOURCE_EXHAUSTED = 8,
  TENON_LITE_FAILED_PRECONDITION = 9,
  TENON_LITE_OUT_OF_RANGE = 11,
  TENON_LITE_UNIMPLEMENTED = 12,
  TENON_LITE_INTERNAL = 13
} TenonLiteStatus;

/* The element types of TensorFlow Lite's format, with its numbers. Integers of 4 bits take a byte
 * an element. */
typedef enum TenonLiteType {
  TENON_LITE_FLOAT32 = 0,
  TENON_LITE_FLOAT16 = 1,
  TENON_LITE_INT32 = 2,
  TENON_LITE_UINT8 = 3,
  TENON_LITE_INT64 = 4,
  TENON_LITE_STRING = 5,
  TENON_LITE_BOOL = 6,
  TENON_LITE_INT16 = 7,
  TENON_LITE_COMPLEX64 = 8,
  TENON_LITE_INT8 = 9,
  TENON_LITE_FLOAT64 = 10,
  TENON_LITE_COMPLEX128 = 11,
  TENON_LITE_UINT64 = 12,
  TENON_LITE_RESOURCE = 13,
  TENON_LITE_VARIANT = 14,
  TENON_LITE_UINT32 = 15,
  TENON_LITE_UINT16 = 16
} TenonLiteType;

#define TENON_LITE_MAX_RANK 8

/* An input or output. Elements are row-major. Pointers belong to the interpreter. */
typedef struct TenonLiteTensor {
  const char* name; /* as long as the interpreter */
  TenonLiteType type;
  int rank;                          /* -1: not known before a run */
  int64_t dims[TENON_LITE_MAX_RANK]; /* -1: not known before a run */
  size_t bytes;                      /* of data; 0 for strings, and for outputs before a run */
  void* data; /* until the next call that resizes, invokes, resets or selects; null where bytes is 0
               */
  float scale; /* real = (integer - zero_point) * scale; 0: not quantised */
  int32_t zero_point;
} TenonLiteTensor;

typedef struct TenonLiteModel TenonLiteModel;
typedef struct TenonLiteInterpreter TenonLiteInterpreter;

/* "0.1.0" */
TENON_LITE_API const char* tenon_lite_version(void);

/* Why the calling thread's last failed call failed: "INVALID_ARGUMENT: ...". */
TENON_LITE_API const char* tenon_lite_error(void);

/* Threads that compute, this one among them; 0: as many as there are processors. Counts before the
 * first run of the process alone. Short runs take one. */
TENON_LITE_API void tenon_lite_set_threads(int threads);

/* The file is read, or the bytes copied, and checked. */
TENON_LITE_API TenonLiteModel* tenon_lite_model_from_file(const char* path);
TENON_LITE_API TenonLiteModel* tenon_lite_model_from_memory(const void* bytes, size_t size);
/* Interpreters that were made of it keep what they need. Null is allowed. */
TENON_LITE_API void tenon_lite_model_free(TenonLiteModel* model);

TENON_LITE_API TenonLiteInterpreter* tenon_lite_interpreter_new(const TenonLiteModel* model);
TENON_LITE_API void tenon_lite_interpreter_free(TenonLiteInterpreter* interpreter);

/* Signatures by index and name. One is selected at a time, the first to begin with: what follows is
 * about its inputs and outputs, which it keeps while others are selected. A file without any has
 * one, "serving_default", of its first subgraph. */
TENON_LITE_API int tenon_lite_signature_count(const TenonLiteInterpreter* interpreter);
TENON_LITE_API const char* tenon_lite_signature_name(const TenonLiteInterpreter* interpreter,
                                                     int index);
TENON_LITE_API TenonLiteStatus tenon_lite_select_signature(TenonLiteInterpreter* interpreter,
                                                           const char* name);

TENON_LITE_API int tenon_lite_input_count(const TenonLiteInterpreter* interpreter);
TENON_LITE_API int tenon_lite_output_count(const TenonLiteInterpreter* interpreter);
/* The index of that name; -1 where there is none. */
TENON_LITE_API int tenon_lite_find_input(const TenonLiteInterpreter* interpreter, const char* name);
TENON_LITE_API int tenon_lite_find_output(const TenonLiteInterpreter* interpreter,
                                          const char* name);

/* Describes an input, whose data may be written to, or an output. */
TENON_LITE_API TenonLiteStatus tenon_lite_input(TenonLiteInterpreter* interpreter, int index,
                                                TenonLiteTensor* tensor);
TENON_LITE_API TenonLiteStatus tenon_lite_output(TenonLiteInterpreter* interpreter, int index,
                                                 TenonLiteTensor* tensor);

/* Gives an input another shape of the same rank; its elements are then 0. */
TENON_LITE_API TenonLiteStatus tenon_lite_resize_input(TenonLiteInterpreter* interpreter, int index,
                                                       int rank, const int64_t* dims);

/* Copies all elements of an input, or of an output after a run: `bytes` must be their size. */
TENON_LITE_API TenonLiteStatus tenon_lite_set_input(TenonLiteInterpreter* interpreter, int index,
                                                    const void* data, size_t bytes);
TENON_LITE_API TenonLiteStatus tenon_lite_get_output(TenonLiteInterpreter* interpreter, int index,
                                                     void* data, size_t bytes);

/* The elements of an input of strings: `count` texts of `lengths` bytes each. */
TENON_LITE_API TenonLiteStatus tenon_lite_set_strings(TenonLiteInterpreter* interpreter, int index,
                                                      const char* const* texts,
                                                      const size_t* lengths, size_t count);
/* Element `element` of an output of strings: not terminated, valid as `data` above. */
TENON_LITE_API TenonLiteStatus tenon_lite_get_string(TenonLiteInterpreter* interpreter, int index,
                                                     size_t element, const char** text,
                                                     size_t* length);

TENON_LITE_API TenonLiteStatus tenon_lite_invoke(TenonLiteInterpreter* interpreter);

/* Variables get the values that they began with, inputs are 0 and have the file's shapes. */
TENON_LITE_API TenonLiteStatus tenon_lite_reset(TenonLiteInterpreter* interpreter);

#ifdef __cplusplus
}
#endif
