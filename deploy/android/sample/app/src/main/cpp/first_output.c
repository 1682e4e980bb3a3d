#include "first_output.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "tenon/lite.h"

typedef struct Text {
  char* at;
  size_t left;
} Text;

static void add(Text* text, const char* format, ...) {
  va_list arguments;
  int length;
  va_start(arguments, format);
  length = vsnprintf(text->at, text->left, format, arguments);
  va_end(arguments);
  if (length < 0) return;
  if ((size_t)length >= text->left) length = (int)text->left - 1;
  text->at += length;
  text->left -= (size_t)length;
}

static void describe(const TenonLiteTensor* tensor, Text* text) {
  enum { MOST = 10 };
  size_t i;
  int k;
  add(text, "%s [", tensor->name);
  for (k = 0; k < tensor->rank; ++k) {
    add(text, k ? ", %lld" : "%lld", (long long)tensor->dims[k]);
  }
  add(text, "]");
  for (i = 0; i < MOST; ++i) {
    if (tensor->type == TENON_LITE_FLOAT32 && i < tensor->bytes / sizeof(float)) {
      add(text, " %g", (double)((const float*)tensor->data)[i]);
    } else if (tensor->type == TENON_LITE_INT8 && i < tensor->bytes) {
      add(text, " %d", ((const int8_t*)tensor->data)[i]);
    }
  }
}

void first_output(const void* model, size_t model_size, char* text, size_t size) {
  Text out;
  TenonLiteTensor tensor;
  TenonLiteModel* loaded = tenon_lite_model_from_memory(model, model_size);
  TenonLiteInterpreter* interpreter = loaded ? tenon_lite_interpreter_new(loaded) : NULL;
  out.at = text;
  out.left = size;
  if (!interpreter || tenon_lite_invoke(interpreter) != TENON_LITE_OK ||
      tenon_lite_output(interpreter, 0, &tensor) != TENON_LITE_OK) {
    add(&out, "%s", tenon_lite_error());
  } else {
    describe(&tensor, &out);
  }
  tenon_lite_interpreter_free(interpreter);
  tenon_lite_model_free(loaded);
}
