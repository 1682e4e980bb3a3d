/* The Android sample's C file, on the shared library: prints what it says of a model.
 *   lite_sample MODEL.tflite */
#include <stdio.h>
#include <stdlib.h>

#include "deploy/android/sample/app/src/main/cpp/first_output.h"

int main(int argc, char** argv) {
  enum { MOST = 1 << 24 };
  char text[1024];
  FILE* file = argc == 2 ? fopen(argv[1], "rb") : NULL;
  char* bytes = malloc(MOST);
  if (!file || !bytes) return 2;
  first_output(bytes, fread(bytes, 1, MOST, file), text, sizeof text);
  fclose(file);
  free(bytes);
  puts(text);
  return 0;
}
